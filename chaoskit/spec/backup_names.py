"""The names that `backups:` of a system file uses: a role, the services that are asked, the query of the proof."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaoskit.spec.places import Loc, shown

if TYPE_CHECKING:
    from chaoskit.spec.system_names import Names


def check_backups(names: Names) -> None:
    """Problems with them, each at its place."""
    for name, backup in names.system.backups.items():
        loc: Loc = ("backups", name)
        names.one_of((*loc, "of"), "role", backup.of, names.system.roles)
        for key, asked in (("restore-point", backup.restore_point), ("resubmit", backup.resubmit)):
            if asked is None:
                continue
            service, slash, path = asked.partition("/")
            if not slash or not path:
                names.say((*loc, key), f"{shown(asked)} is no service/path", "like auditor/restore-point")
            else:
                names.service((*loc, key), service)
        if backup.proof is not None:
            names.file((*loc, "proof"), backup.proof, "query")
        volumes = names.system.compose_project.volumes
        if (
            backup.volume is not None
            and names.one_of((*loc, "volume"), "volume", backup.volume, volumes)
            and volumes[backup.volume].external
        ):
            words = f"the volume {shown(backup.volume)} is external: a run keeps no backups in what existed before it"
            names.say((*loc, "volume"), words, "name one of the Compose file's own")
        if (backup.proof is None) != (backup.restore_point is None):
            missing = "proof" if backup.proof is None else "restore-point"
            names.say(loc, f"`{name}` needs both restore-point and proof; {missing} is missing", key=True)
