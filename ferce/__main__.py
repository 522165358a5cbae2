"""python -m ferce PHOTO|FOLDER|GLOB ... [--json F|-] [--csv F] [--html F]: read photos."""

import sys

from ferce.cli import main

if __name__ == "__main__":
    sys.exit(main())
