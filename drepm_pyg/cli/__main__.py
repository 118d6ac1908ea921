"""``python -m drepm_pyg.cli`` is ``drepm``."""

import sys

from drepm_pyg.cli.main import main

sys.exit(main())
