"""`python -m rating_service`: the same commands as `rating`."""

from __future__ import annotations

from rating_service.cli.main import main

if __name__ == "__main__":
    main()
