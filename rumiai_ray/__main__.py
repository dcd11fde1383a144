"""`python -m rumiai_ray` is the command line."""

from rumiai_ray.cli.interpreter import check_interpreter

check_interpreter()

from rumiai_ray.cli.app import program  # noqa: E402 -- only where its packages are

if __name__ == "__main__":
    program()
