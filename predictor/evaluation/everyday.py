# ruff: noqa: E501 - a question and its choices read better on one line
"""What a model of everyday English should not forget: texts, chats and facts, so that nothing need be brought along.

Written for this project. They are few and easy: enough to see that something was lost, too few to see how much of a
point. Who cares for a point names files of their own.
"""

from __future__ import annotations

from typing import Final

from predictor.data.example import Example, Message
from predictor.probe.generic_text import GENERIC_TEXTS

TEXTS: Final = (
    *GENERIC_TEXTS,
    "The bakery on the corner opens at six, and by half past the first loaves are already gone.",
    "Heat the oven to two hundred degrees, beat the eggs with the sugar and fold in the flour a spoonful at a time.",
    "After the storm the river carried branches, fences and once even a wooden boat without anybody in it.",
    "A contract is binding when both sides have agreed to its terms and each of them gives something in return.",
    "for name in names:\n    if name.startswith('a'):\n        print(name)",
    "The heart pumps blood through the arteries to the organs, and the veins bring it back.",
    "Our grandmother kept her letters in a tin box under the bed and read them again every winter.",
    "Prices rose by two per cent last year, while wages stayed almost where they had been.",
    "If you want to learn to swim, begin in shallow water and practise breathing out under the surface.",
    "The moon has no light of its own; what we see is the light of the sun that it throws back.",
    "He missed the penalty in the last minute, and the whole stadium fell silent.",
    "Thank you for your order. Your parcel will leave our warehouse tomorrow and should reach you within three days.",
    "Plants take in water through their roots and turn sunlight into sugar in their leaves.",
    "The meeting has been moved to Thursday afternoon because two of the speakers cannot come on Wednesday.",
    "In the middle ages most people lived in villages, worked in the fields and never travelled far from home.",
    "To save energy, switch off the lights when you leave the room and close the windows before you turn on the heating.",
)

_CHATS: Final = (
    ("What is the capital of France?", "The capital of France is Paris."),
    ("How many days are there in a week?", "There are seven days in a week."),
    ("Give me three kinds of fruit.", "Three kinds of fruit are apples, bananas and oranges."),
    ("Write a short sentence about the sea.", "The sea was calm, and the boats lay quietly in the harbour."),
    ("What do bees make?", "Bees make honey."),
    ("Translate 'good morning' into French.", "'Good morning' in French is 'bonjour'."),
    ("Why should I drink water?", "Water keeps your body working: it carries nutrients, cools you down and helps your kidneys."),
    ("What is the opposite of hot?", "The opposite of hot is cold."),
    ("Suggest a name for a black cat.", "You could call a black cat Shadow."),
    ("How do I make tea?", "Boil water, pour it over the tea leaves or a tea bag, wait a few minutes and take the leaves out."),
    ("What is 12 plus 30?", "12 plus 30 is 42."),
    ("Name the planet that we live on.", "We live on the planet Earth."),
    ("Rewrite politely: Give me the report.", "Could you please give me the report?"),
    ("What does a thermometer measure?", "A thermometer measures temperature."),
    ("Tell me one way to save money.", "One way to save money is to cook at home instead of eating out."),
    ("Who wrote Romeo and Juliet?", "William Shakespeare wrote Romeo and Juliet."),
    ("How can I fall asleep faster?", "Keep your room dark and cool, put your phone away and go to bed at the same time every night."),
    ("What colour do you get from blue and yellow?", "Blue and yellow make green."),
    ("Write a greeting for a birthday card.", "Happy birthday! I wish you a wonderful day and a year full of joy."),
    ("What is a synonym of happy?", "A synonym of happy is glad."),
    ("Explain in one sentence what rain is.", "Rain is water that falls from clouds in drops."),
    ("Which season comes after winter?", "Spring comes after winter."),
    ("Finish the sentence: The early bird", "The early bird catches the worm."),
    ("What should I pack for a day at the beach?", "Take a towel, sunscreen, a hat, plenty of water and something to read."),
)  # fmt: skip

CHATS: Final = tuple(
    Example(id=f"everyday-{number}", answers=(answer,), messages=(Message("user", question),))
    for number, (question, answer) in enumerate(_CHATS)
)

_FACTS: Final = {
    "geography": (
        ("What is the capital of Italy?", "Rome", "Madrid", "Vienna", "Athens"),
        ("Which is the largest ocean?", "the Pacific", "the Atlantic", "the Indian Ocean", "the Arctic"),
        ("On which continent is Egypt?", "Africa", "Asia", "Europe", "South America"),
        ("What is the capital of Japan?", "Tokyo", "Beijing", "Seoul", "Bangkok"),
        ("Which river flows through London?", "the Thames", "the Seine", "the Danube", "the Nile"),
        ("Which country has the city of Berlin?", "Germany", "Austria", "Poland", "Denmark"),
        ("In which country is the Taj Mahal?", "India", "China", "Turkey", "Iran"),
        ("What is the highest mountain on Earth?", "Mount Everest", "Mont Blanc", "Kilimanjaro", "Mount Fuji"),
        ("Which language is spoken in Brazil?", "Portuguese", "French", "German", "Italian"),
        ("Which is the largest country by area?", "Russia", "Canada", "Brazil", "Spain"),
    ),
    "nature": (
        ("What do cows eat?", "grass", "fish", "stones", "meat"),
        ("Which animal barks?", "a dog", "a cat", "a cow", "a duck"),
        ("How many legs has a spider?", "eight", "six", "four", "ten"),
        ("What do plants need to grow?", "sunlight", "darkness", "plastic", "salt"),
        ("Which gas do people breathe in to live?", "oxygen", "helium", "neon", "carbon monoxide"),
        ("What is frozen water called?", "ice", "steam", "sand", "smoke"),
        ("Which animal can fly?", "an eagle", "a horse", "a shark", "a snake"),
        ("What does a caterpillar become?", "a butterfly", "a bird", "a frog", "a spider"),
        ("Where do fish live?", "in water", "in trees", "in the desert", "underground"),
        ("Which is the fastest animal on land?", "the cheetah", "the turtle", "the cow", "the pig"),
    ),
    "science": (
        ("Which planet is closest to the sun?", "Mercury", "Mars", "Jupiter", "Neptune"),
        ("What is the chemical symbol of water?", "H2O", "CO2", "NaCl", "O2"),
        ("What pulls things towards the ground?", "gravity", "electricity", "sound", "light"),
        ("Which organ pumps the blood?", "the heart", "the liver", "the lung", "the stomach"),
        ("At how many degrees Celsius does water boil?", "100", "10", "50", "500"),
        ("What does the Earth go around?", "the sun", "the moon", "Mars", "Venus"),
        ("Which metal is liquid at room temperature?", "mercury", "iron", "gold", "copper"),
        ("Who described the theory of relativity?", "Albert Einstein", "Isaac Newton", "Charles Darwin", "Marie Curie"),
        ("What travels fastest?", "light", "sound", "a car", "a plane"),
        ("What is the hardest natural material?", "diamond", "wood", "chalk", "wax"),
    ),
    "history": (
        ("Who was the first president of the United States?", "George Washington", "Abraham Lincoln", "John Kennedy", "Barack Obama"),
        ("In which year did the Second World War end?", "1945", "1918", "1963", "1989"),
        ("Who painted the Mona Lisa?", "Leonardo da Vinci", "Pablo Picasso", "Vincent van Gogh", "Claude Monet"),
        ("Who first walked on the moon?", "Neil Armstrong", "Yuri Gagarin", "Christopher Columbus", "Thomas Edison"),
        ("Who built the great pyramids?", "the Egyptians", "the Romans", "the Vikings", "the French"),
        ("Who sailed to America in 1492?", "Christopher Columbus", "James Cook", "Marco Polo", "Vasco da Gama"),
        ("Which wall fell in 1989?", "the Berlin Wall", "the Great Wall of China", "Hadrian's Wall", "the walls of Troy"),
        ("Who wrote Hamlet?", "William Shakespeare", "Charles Dickens", "Jane Austen", "Mark Twain"),
        ("Who was a general and emperor of France?", "Napoleon", "Caesar", "Bismarck", "Churchill"),
        ("What sank in 1912 after it hit an iceberg?", "the Titanic", "the Mayflower", "the Bismarck", "the Victory"),
    ),
    "everyday life": (
        ("What do you use to cut bread?", "a knife", "a spoon", "a pillow", "a lamp"),
        ("Where do you keep milk cold?", "in the refrigerator", "in the oven", "in the bathtub", "in the garden"),
        ("Who flies a plane?", "a pilot", "a baker", "a teacher", "a farmer"),
        ("What do you wear on your feet?", "shoes", "gloves", "a hat", "glasses"),
        ("Who treats sick people?", "a doctor", "a carpenter", "a painter", "a driver"),
        ("What tells the time?", "a clock", "a chair", "a plate", "a door"),
        ("Where can you borrow books?", "at a library", "at a bank", "at a bakery", "at a car park"),
        ("What do you open with a key?", "a lock", "a book", "a window pane", "a sandwich"),
        ("Which meal do people eat in the morning?", "breakfast", "dinner", "supper", "dessert"),
        ("What do you put on when it is cold?", "a coat", "a swimsuit", "sandals", "sunglasses"),
    ),
    "numbers": (
        ("What is two plus two?", "four", "five", "three", "seven"),
        ("How many months are in a year?", "twelve", "ten", "seven", "twenty"),
        ("How many minutes are in an hour?", "sixty", "thirty", "one hundred", "twelve"),
        ("How many sides has a triangle?", "three", "four", "five", "six"),
        ("What is ten times ten?", "one hundred", "twenty", "one thousand", "fifty"),
        ("How many hours are in a day?", "twenty-four", "twelve", "sixty", "ten"),
        ("What is half of ten?", "five", "two", "eight", "twenty"),
        ("How many cents are in a dollar?", "one hundred", "ten", "fifty", "one thousand"),
        ("How many letters are in the English alphabet?", "twenty-six", "twenty", "thirty-two", "ten"),
        ("How many wheels has a bicycle?", "two", "three", "four", "one"),
    ),
}  # fmt: skip

FACTS: Final = tuple(
    Example(
        id=f"everyday-{subject}-{number}",
        answers=(right,),
        question=question,
        # The right one first, second, third, fourth: its place tells nothing.
        extra={"choices": [*wrong[: number % 4], right, *wrong[number % 4 :]], "subject": subject},
    )
    for subject, questions in _FACTS.items()
    for number, (question, right, *wrong) in enumerate(questions)
)
"""The right answer of each stands among its `choices`."""
