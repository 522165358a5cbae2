"""Action units: their table, their prototypes, and the decision between expressions."""
