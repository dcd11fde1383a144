"""`python -m rumiai_ray` is the command line."""

from rumiai_ray.cli.app import program

if __name__ == "__main__":
    program()
