"""labkit against its peers, side by side in one run.  ``python tests/bench --help`` says how."""
