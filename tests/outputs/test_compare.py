"""The comparison of two trees' results: it sees a byte, and what it compares does not differ by itself."""

from pathlib import Path

from tests.outputs import compare


def test_the_list_names_every_command():
    listed = " ".join(compare.lines())
    commands = {p.stem for p in (compare.OURS / "bonectl" / "cli").glob("*.py")}
    verbs = {"phantom", "simulate", "reconstruct", "train", "denoise", "measure", "info", "convert"}
    assert verbs <= commands
    assert all(f"bonectl {verb} " in listed for verb in verbs)
    assert len(compare.lines()) >= 30


def test_same_line_same_bytes_and_another_seed_is_seen():
    def chain(seed: int) -> list[str]:
        return [
            "bonectl phantom iliac --shape 4,16,16 --voxel-size 0.1 --seed 1 -o bone.npy",
            f"bonectl simulate bone.npy --views 8 --photons 100 --seed {seed} | bonectl info --stats",
        ]

    one, two, other = (compare.results(compare.OURS, chain(seed)) for seed in (1, 1, 2))
    assert [line["status"] for line in one] == ["0", "0"]
    assert compare.differences(one, two) == [[], []]
    assert compare.differences(one, other) == [[], ["standard output"]]


def test_without_history_another_entry_is_no_difference_and_another_voxel_is():
    def scan(folder: str, photons: int) -> list[str]:
        return [
            "bonectl phantom disc --shape 1,16,16 --voxel-size 0.1 -o d.npy",
            f"mkdir {folder} && cp d.npy {folder}/d.npy",
            f"bonectl simulate {folder}/d.npy --views 8 --photons {photons} -o s.npy && rm -r {folder}",
        ]

    def three(**options: bool) -> list[list[dict[str, str]]]:
        return [compare.results(compare.OURS, scan(*case), **options) for case in (("a", 9), ("b", 9), ("a", 8))]

    one, moved, darker = three()
    assert compare.differences(one, moved)[2] == ["s.npy"]
    one, moved, darker = three(history=False)
    assert [line["status"] for line in one] == ["0", "0", "0"]
    assert compare.differences(one, moved)[2] == []
    assert compare.differences(one, darker)[2] == ["s.npy"]


def test_a_file_that_differs_is_told_once():
    before = [{"status": "0", "a": "1"}, {"status": "0", "a": "1", "b": "1"}]
    after = [{"status": "0", "a": "2"}, {"status": "2", "a": "2"}]
    assert compare.differences(before, after) == [["a"], ["b", "status"]]


def test_comments_are_no_commands():
    assert not any(line.startswith("#") for line in compare.lines(Path(compare.HERE) / "commands.txt"))
