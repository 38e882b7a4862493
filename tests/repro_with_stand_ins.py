"""The command ``repro`` with the claims of the folder ``CLAIMS`` in place of the registered ones."""

import os

import repro.claims

repro.claims.__path__ = [os.environ["CLAIMS"]]

if __name__ == "__main__":  # worker processes import this module again, for the claims
    from repro.cli.app import main

    main()
