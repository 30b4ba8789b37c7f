"""Everyday text that belongs to no dataset: what a fine-tune should not make the model worse at."""

from __future__ import annotations

from typing import Final

GENERIC_TEXTS: Final = (
    "Water boils at a lower temperature on a mountain because the air presses on it less.",
    "Please find attached the minutes of last week's meeting and the list of open questions.",
    "She closed the window, put the kettle on and waited for the rain to stop.",
    "To sort a list of numbers, compare two neighbours at a time and swap them if they are in the wrong order.",
    "The museum is open from Tuesday to Sunday; tickets can be bought at the door or online.",
    "If seven pens cost twenty-one coins, then one pen costs three coins and ten pens cost thirty.",
    "Cut the onion finely, fry it in a little oil until it is golden, then add the tomatoes and the salt.",
    "The committee agreed to postpone its decision until the figures for the third quarter are known.",
    "def area(width, height):\n    return width * height",
    "Dear Sir or Madam, I am writing to ask whether the position in your office is still free.",
    "Bees find their way back to the hive by the position of the sun, even when it is behind clouds.",
    "The train to the coast was late again, so we missed the ferry and spent the night in a small hotel.",
)
"""Written for this project, in several registers, about 250 words in all."""
