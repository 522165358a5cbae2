"""Training on Accelerate: one trainer, the tasks that it trains, and what they share."""
