"""Where a message sends its reader when a process of Ray has died.

The words go into tables as well, so they name no directory of one run: equal failures must have equal messages, and the directory of a Ray
that a command started is moved when the command ends.
"""

from __future__ import annotations

SEE_RAYS_LOGS = (
    "`rumiai-ray runs show RUN --failures` prints every attempt; Ray's logs have what the process printed last: a failed command "
    "names their directory when it ends, `rumiai-ray status` names a warm cell's, and a cluster's nodes have them in /tmp/ray"
)
"""The hint of such an error. A command that starts a Ray keeps Ray's logs whenever it ends with another exit code than 0."""
