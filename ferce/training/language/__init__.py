"""Fine-tune a vision-language model with LoRA."""
