"""Stand-in until ferce.prompts lands."""
from ferce.types import Prediction

CLASSIFY = "Which compound expression does this face show?"
FORMATS = {"opt": "Question: {} Answer:", "t5": "Question: {} Short answer:", "vqa": "{}", "chat": "{}"}


def explain(prediction: Prediction) -> str:
    return f"The expression resembles {prediction.label}. Which facial cues contribute to it?"
