"""Where generations live on disk, and the one pointer that says which of them is served.

<index>/CURRENT              the id of the served generation; replaced by rename
<index>/generations/<id>/    whole generations; never changed once here
<index>/building/<random>/   a build that runs, or the remains of one that was killed
<index>/publish.lock         held while the pointer moves
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from mangaassist.domain.errors import ConflictError, NotFoundError

KEPT_GENERATIONS = 3
_BUILD_LOCK = "build.lock"


class IndexLayout:
    """The folders of one index; every change of the pointer is atomic and durable."""

    def __init__(self, index_dir: Path) -> None:
        self.index_dir = index_dir
        self.pointer = index_dir / "CURRENT"
        self._generations = index_dir / "generations"
        self._building = index_dir / "building"

    def current(self) -> str | None:
        """Return the id of the served generation, or None before the first one."""
        try:
            return self.pointer.read_text(encoding="utf-8").strip() or None
        except FileNotFoundError:
            return None

    def generations(self) -> list[str]:
        """Return the ids that are on disk, oldest first."""
        if not self._generations.is_dir():
            return []
        return sorted(path.name for path in self._generations.iterdir() if path.is_dir())

    def folder(self, generation_id: str) -> Path:
        """Return the folder of a generation."""
        return self._generations / generation_id

    def begin_build(self) -> Build:
        """Return a new folder to build in, after sweeping away those whose builders are dead."""
        self._generations.mkdir(parents=True, exist_ok=True)
        self._building.mkdir(exist_ok=True)
        # under the lock nobody is between making a build folder and locking it
        with self._publishing():
            for remains in self._building.iterdir():
                if not _is_alive(remains):
                    shutil.rmtree(remains, ignore_errors=True)
            return Build(Path(tempfile.mkdtemp(dir=self._building)))

    def publish(self, build: Build, *, label: str, replacing: str | None = None) -> str:
        """Make a finished build the served generation and drop all but the newest old ones.

        With `replacing`, `ConflictError` is raised when another generation is served by now.
        """
        build.sync()
        with self._publishing():
            if replacing is not None and self.current() != replacing:
                raise ConflictError(f"generation {replacing!r} was replaced meanwhile by {self.current()!r}")
            numbers = [int(name.split("-")[0]) for name in self.generations()]
            generation_id = f"{max(numbers, default=0) + 1:06d}-{label}"
            build.folder.rename(self.folder(generation_id))
            (self.folder(generation_id) / _BUILD_LOCK).unlink()
            build.release()
            _sync_directory(self._generations)
            self._point_to(generation_id)
            others = [name for name in self.generations() if name != generation_id]
            for name in others[:-KEPT_GENERATIONS]:
                shutil.rmtree(self.folder(name), ignore_errors=True)
        return generation_id

    def rollback(self, generation_id: str | None = None) -> str:
        """Serve an older generation again: the named one, else the one before the served one."""
        with self._publishing():
            known, current = self.generations(), self.current()
            older = [name for name in known if current is None or name < current]
            target = generation_id if generation_id is not None else (older[-1] if older else None)
            if target is None or target not in known:
                raise NotFoundError(f"no generation {target or 'before the served one'!r} to go back to")
            self._point_to(target)
        return target

    def _point_to(self, generation_id: str) -> None:
        temporary = self.index_dir / "CURRENT.new"
        with temporary.open("w", encoding="utf-8") as file:
            file.write(generation_id + "\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.pointer)
        _sync_directory(self.index_dir)

    @contextmanager
    def _publishing(self) -> Iterator[None]:
        """One process at a time; the system frees the lock when its holder dies."""
        with (self.index_dir / "publish.lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


class Build:
    """A folder being filled; its lock tells other processes that the builder lives."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock: IO[bytes] | None = (folder / _BUILD_LOCK).open("wb")
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def sync(self) -> None:
        """Force every file to disk."""
        for path in self.folder.iterdir():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        _sync_directory(self.folder)

    def release(self) -> None:
        """Let go of the lock."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def discard(self) -> None:
        """Remove the folder; idempotent."""
        self.release()
        shutil.rmtree(self.folder, ignore_errors=True)


def _is_alive(folder: Path) -> bool:
    """Whether some process still holds the build's lock."""
    try:
        with (folder / _BUILD_LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return False
    except BlockingIOError:
        return True
    except OSError:
        return False


def _sync_directory(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
