"""``python -m worldfoundry``."""

import sys

from worldfoundry.cli.main import main

sys.exit(main())
