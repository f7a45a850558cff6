"""`python -m AttentionUNetSegLib.cli`: the same as `attention-unet-seg`."""

import sys

from . import main

sys.exit(main())
