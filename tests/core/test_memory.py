"""Limits of control groups, as containers, batch systems and service managers nest them."""

import pytest

from bonectl.core import memory

GIB = 1 << 30
NAMES = {
    2: ("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    1: ("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


def group(root, version, path, limit, used, cached=None):
    mount, limit_file, used_file, key = NAMES[version]
    folder = root / mount / path
    folder.mkdir(parents=True, exist_ok=True)
    (folder / limit_file).write_text(f"{limit}\n")
    (folder / used_file).write_text(f"{used}\n")
    if cached is not None:
        (folder / "memory.stat").write_text(f"anon 1\n{key} {cached}\nslab 2\n")


def told(root, text):
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(text)


OWN = {2: "0::/{}\n", 1: "12:pids:/x\n5:cpuset,memory:/{}\n0::/\n"}


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("limited", ["slurm", "slurm/job_7", "slurm/job_7/step_0"])
def test_the_least_of_the_own_group_and_those_around_it(tmp_path, version, limited):
    for path in ("slurm", "slurm/job_7", "slurm/job_7/step_0", "slurm/job_8"):
        group(tmp_path, version, path, "max" if version == 2 else (1 << 63) - 4096, GIB // 4)
    group(tmp_path, version, limited, GIB, GIB // 4)
    group(tmp_path, version, "slurm/job_8", GIB // 2, 0)  # of another
    told(tmp_path, OWN[version].format("slurm/job_7/step_0"))
    assert memory._free_in_groups(tmp_path) == GIB - GIB // 4


@pytest.mark.parametrize("version", [1, 2])
def test_the_cache_of_files_is_not_in_use(tmp_path, version):
    group(tmp_path, version, "job", GIB, GIB - 4096, cached=GIB // 2)
    told(tmp_path, OWN[version].format("job"))
    assert memory._free_in_groups(tmp_path) == GIB // 2 + 4096


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("own", ["", "../../outside", "a/path/of/the/host"])
def test_a_container_sees_its_limit_at_the_mount(tmp_path, version, own):
    group(tmp_path, version, "", GIB, 0)
    told(tmp_path, OWN[version].format(own))
    assert memory._free_in_groups(tmp_path) == GIB


def test_no_groups_no_limit(tmp_path):
    assert memory._free_in_groups(tmp_path) is None
    group(tmp_path, 2, "", "max", 0)
    assert memory._free_in_groups(tmp_path) is None


@pytest.mark.parametrize("words", ["can't allocate lock", "can't start new thread", "std::bad_alloc"])
def test_a_shortage_in_the_words_of_threads_is_one(words):
    assert memory.is_shortage(RuntimeError(words))
    assert not memory.is_shortage(RuntimeError("can't find the weights"))
