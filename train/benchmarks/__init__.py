"""The subcommands of `train/benchmark.py`: what each measures and takes, a file a theme."""
