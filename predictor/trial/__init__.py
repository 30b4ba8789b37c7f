"""One fine-tune being prepared and watched: configuration, materials, identity, plan, price tiers of the probe."""
