"""A stranger's first commands, on a machine without the Debian packages: writes what they print, how long they take and what they occupy.

    python tests/benchmarks/first_run.py FOLDER [--without-hubs] [COMMAND …]

The machine is this one, seen through an overlay at FOLDER in which the packages are removed, the home directory is empty and the checkout
is a fresh clone of this one's last commit. Nothing of the machine itself changes. It needs root, Debian or its kin, overlayfs and 12 GB at
FOLDER. `--without-hubs` makes the names of the hubs lead nowhere; package registries stay as they are. FOLDER/transcript.txt has it all.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from rumiai_ray.cli.doctor.libraries import debian_packages  # noqa: E402 -- found on the path just set

_PORT = 18765
_SERVED = f"""
python3 -m http.server {_PORT} --bind 127.0.0.1 >/dev/null 2>&1 & trap "kill $!" EXIT
until (: </dev/tcp/127.0.0.1/{_PORT}) 2>/dev/null; do sleep 0.2; done
.venv/bin/python -m rumiai_ray http://127.0.0.1:{_PORT}/clip.mp4 --limits-private-hosts
""".strip()
COMMANDS = (
    "make demo",
    ".venv/bin/rumiai-ray runs ls",
    ".venv/bin/rumiai-ray query latest 'SELECT text, start_s FROM text_spans'",
    ".venv/bin/rumiai-ray demo --keep clip.mp4",
    # The headline command: one's own video, with the default profile `auto`.
    ".venv/bin/python -m rumiai_ray clip.mp4",
    _SERVED,
)
HUBS = (
    *("huggingface.co", "hf.co", "cdn-lfs.huggingface.co", "cdn-lfs.hf.co", "cdn-lfs-us-1.hf.co", "cas-bridge.xethub.hf.co"),
    *("transfer.xethub.hf.co", "cas-server.xethub.hf.co", "github.com", "raw.githubusercontent.com", "objects.githubusercontent.com"),
    *("release-assets.githubusercontent.com", "storage.googleapis.com", "dl.fbaipublicfiles.com"),
)
"""Where weights come from that no package registry has."""
HOME = "/home/stranger"
_NOT_A_STRANGERS = ("RUMIAI_", "RAY_", "VIRTUAL_ENV", "XDG_", "PYTHON", "CI")
"""Beginnings of variables that somebody who has just cloned has not set."""
_INSTALLED = ["dpkg-query", "--show", "--showformat=${Package}\\t${Depends},${Pre-Depends}\\t${Provides}\\n"]
_SAID = """
said() { printf '\\n$ %s\\n' "$1"; local begun=$SECONDS; bash -c "$1"; printf '(exit code %s, %s s)\\n' $? $((SECONDS - begun)); }
"""


def script(commands: list[str], *, without_hubs: bool) -> str:
    """What is run inside the overlay, by bash."""
    packages = debian_packages()
    lines = [
        f"dpkg --remove --force-depends {shlex.join(with_dependents(packages))} >/dev/null 2>&1",
        f"rm -rf {HOME}; mkdir -p {HOME}; export HOME={HOME}; cd",
        _SAID,
        f"echo 'without the Debian packages {' '.join(packages)}{', hubs unreachable' if without_hubs else ''}'",
    ]
    if without_hubs:
        lines.append(f"printf '%s\\n' {shlex.join(f'127.0.0.1 {name}' for name in HUBS)} >> /etc/hosts")
    lines += [
        f"git clone --quiet --no-local {shlex.quote(str(ROOT))} rumiai_ray",
        "cd rumiai_ray",
        "git log -1 --format='commit %h of %cs'",
    ]
    lines += [f"said {shlex.quote(command)}" for command in commands]
    return "\n".join([*lines, f"said 'du -sh .venv {HOME}/.cache'"])


def with_dependents(packages: Iterable[str]) -> list[str]:
    """These packages, the libraries of libav beside them, and all that cannot be installed without one of them.

    With a dependent left behind, `apt-get install` refuses everything until that is repaired: no stranger's machine is like that.
    """
    shown = subprocess.run(_INSTALLED, capture_output=True, text=True, check=True).stdout
    needs: dict[str, list[set[str]]] = {}
    provides: dict[str, set[str]] = {}
    for line in shown.splitlines():
        name, needed, provided = line.split("\t")
        needs[name] = [{re.split(r"[\s:(]", one.strip())[0] for one in group.split("|")} for group in needed.split(",") if group.strip()]
        provides[name] = {name, *(re.split(r"[\s(]", one.strip())[0] for one in provided.split(","))}
    # Debian's program ffmpeg is not what is loaded: its libraries are packages of their own.
    gone = {name for name in needs if name in set(packages) or re.fullmatch(r"libavcodec\d+", name)}
    while True:
        there = set[str]().union(*(provides[name] for name in needs.keys() - gone))
        broken = {name for name in needs.keys() - gone if not all(group & there for group in needs[name])}
        if not broken:
            return sorted(gone)
        gone |= broken


def run(folder: Path, inside: str) -> int:
    """Run `inside` in an overlay of this machine's root; returns the exit code of the last command."""
    for name in ("upper", "work", "root"):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir(parents=True)
    root = folder / "root"
    layers = f"lowerdir=/,upperdir={folder / 'upper'},workdir={folder / 'work'}"
    mounts = [f"mount -t overlay overlay -o {layers} {root}", f"mount -t proc proc {root}/proc", f"mount --rbind /sys {root}/sys"]
    mounts += [f"mount --rbind /dev {root}/dev", f"exec chroot {root} /bin/bash -c {shlex.quote(inside)}"]
    variables = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_A_STRANGERS)}
    command = ["/usr/bin/unshare", "--mount", "--pid", "--fork", "--kill-child", "/bin/sh", "-c", " && ".join(mounts)]
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as ended:
        assert ended.stdout
        with (folder / "transcript.txt").open("w") as transcript:
            transcript.write(f"{platform.platform()}, {os.cpu_count()} CPUs\n")
            for line in ended.stdout:
                for out in (transcript, sys.stdout):
                    out.write(line)
                    out.flush()
    return ended.returncode


def options_of(arguments: Sequence[str]) -> argparse.Namespace:
    """FOLDER, the commands and `--without-hubs`, which may stand before, between or behind them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--without-hubs", action="store_true", help="make the names of the hubs lead nowhere")
    parser.add_argument("commands", nargs="*", metavar="COMMAND", help="in place of what a stranger types first")
    # `parse_args` takes all positional arguments at once: none of COMMAND would be left for after the option.
    return parser.parse_intermixed_args(arguments)


def main() -> int:
    """Run the commands; the last lines are the sizes."""
    options = options_of(sys.argv[1:])
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return run(folder, script(options.commands or list(COMMANDS), without_hubs=options.without_hubs))


if __name__ == "__main__":
    sys.exit(main())
