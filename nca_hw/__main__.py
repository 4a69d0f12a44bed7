"""`python -m nca_hw`: the command line, where its script is not on the path."""

from nca_hw.cli import main

if __name__ == "__main__":
    main()
