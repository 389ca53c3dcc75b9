"""`python -m bonectl`, and the console script."""

from bonectl.cli.boundary import main

if __name__ == "__main__":
    main()
