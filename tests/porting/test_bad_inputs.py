"""Errors of porting are one line that names the problem and what to do."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sam2")


from porting import convert, verify

PATCH = "image_encoder.trunk.patch_embed.proj.weight"
WEIGHT = torch.ones(2, 2)
FILES = {
    "numbered": {0: WEIGHT, 1: WEIGHT},
    "scalar": {PATCH: torch.tensor(1.0)},
    "integers": {PATCH: torch.ones(24, 3, 7, 7, dtype=torch.int64)},
    "complex": {PATCH: torch.ones(24, 3, 7, 7, dtype=torch.complex64)},
    "nan": {PATCH: torch.full((24, 3, 7, 7), torch.nan)},
    "list": [WEIGHT],
    "mixed": {PATCH: WEIGHT, "epoch": 3},
    "nothing": {},
}
READ = ("--checkpoint={bad}/scalar.pt",)
WRITE = ("--output={bad}/out",)
BACK = ("--reverse", "--checkpoint={bad}/empty")
SEEDED = ("--seeded=toy",)
HEADS = ("--heads={bad}/no.pt",)
SAFE = ("--output={bad}/a.safetensors",)


def of(name: str) -> tuple[str, ...]:
    return (f"--checkpoint={{bad}}/{name}", *WRITE)


TABLE = [
    (convert, (), "--checkpoint is missing", "name what to read"),
    (convert, READ, "--output is missing", "name what to write"),
    (convert, of("no.pt"), "no.pt", "give a checkpoint's file or folder"),
    (convert, of("empty"), "empty holds no checkpoint", "give a folder with"),
    (convert, of("text.pt"), "text.pt cannot be read", "download it again"),
    (convert, of("text.safetensors"), "text.safetensors cannot", "download it again"),
    (convert, of("cut.pt"), "cut.pt cannot be read", "download it again"),
    (convert, of("bomb"), "index.json is not an index", "download it again"),
    (convert, of("numbered.pt"), "numbered.pt has tensor names that are not strings: 0",
     "under the names of the model's state dict"),
    (convert, of("scalar.pt"), "scalar.pt is of no size", "the sizes are toy"),
    (convert, of("integers.pt"), f"no floating-point numbers in {PATCH}", "give the"),
    (convert, of("complex.pt"), f"no floating-point numbers in {PATCH}", "give the"),
    (convert, of("nan.pt"), f"non-finite values in {PATCH}", "download it again"),
    (convert, of("list.pt"), "list.pt holds no tensors", "give a state dict"),
    (convert, of("mixed.pt"), "non-tensors: epoch", "save the state dict alone"),
    (convert, of("nothing.pt"), "nothing.pt holds no tensors", "give a state dict"),
    (convert, (*READ, "--output={bad}/text.pt"), "is a file", "name a folder"),
    (convert, (*READ, "--output={bad}/text.pt/a"), "is a file", "name a folder"),
    (convert, (*READ, "--output=/proc/c2g"), "/proc/c2g", "name another folder"),
    (convert, (*READ, *WRITE, "--format=zip"), "--format=zip", "safetensors|orbax"),
    (convert, (*BACK, "--output={bad}/a.zip"), "a.zip", "name a .pt file"),
    (convert, (*BACK, "--output={bad}/text.pt/a.pt"), "is a file", "name a file"),
    (convert, (*BACK, "--output={bad}/folder.pt"), "is a folder", "name a file"),
    (convert, (*BACK, "--output={bad}/a.pt"), "no checkpoint in", "give a folder that"),
    (convert, (*BACK, *WRITE, "--format=orbax"), "--reverse writes a .pt", "leave out"),
    (convert, (*READ, *HEADS, *WRITE), "--checkpoint and --heads exclude", "give one"),
    (convert, HEADS, "--output is missing", "name what to write"),
    (convert, (*HEADS, "--output={bad}/a.pt"), "a.pt is not a .safetensors", "name a"),
    (convert, (*HEADS, *SAFE), "there is no", "give a .pt of heads"),
    (convert, ("--heads={bad}/text.safetensors", *SAFE), "text.safetensors is no .pt",
     "--reverse makes one"),
    (convert, ("--heads={bad}/empty", *SAFE), "empty is no .pt", "--reverse makes one"),
    (convert, ("--heads={bad}/text.safetensors", "--output={bad}/a.pt"),
     "a.pt is not a .safetensors", "or give --reverse to write a .pt"),
    (convert, ("--reverse", "--heads={bad}/scalar.pt", "--output={bad}/a.pt"),
     "scalar.pt is a .pt already", "leave out --reverse"),
    (convert, ("--heads={bad}/scalar.pt", *SAFE), "has no manifest", "save it beside"),
    (convert, (*HEADS, *SAFE, "--format=orbax"), "--heads is one file", "leave out"),
    (convert, ("--reverse", *HEADS, "--output={bad}/a.pt"), "there are no heads in",
     "give a heads.safetensors"),
    (verify, (*READ, *SEEDED), "--checkpoint and --seeded exclude", "give one"),
    (verify, ("--seeded=vast",), "--seeded=vast", "toy|mini|tiny|small"),
    (verify, (*SEEDED, "--seed=-1"), "--seed is -1", "give 0 or more"),
    (verify, (*SEEDED, f"--seed={2**70}"), "--seed is", "below 2^63"),
    (verify, (*SEEDED, "--image_size=100"), "image size 100", "try 96"),
    (verify, (*SEEDED, "--max_frames=0"), "--max_frames=0", "positive"),
    (verify, (*SEEDED, "--image={bad}/text.pt"), "text.pt", "save it again"),
    (verify, (*SEEDED, "--video={bad}/no.mp4"), "no.mp4: no such", "check the path"),
    (verify, (*SEEDED, "--flax={bad}"), "--flax is of a --checkpoint", "leave --flax"),
    (verify, of("scalar.pt")[:1], "scalar.pt is of no size", "the sizes are toy"),
]  # fmt: skip


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    for name in ("empty", "bomb", "folder.pt"):
        (folder / name).mkdir()
    (folder / "bomb" / "model.safetensors.index.json").write_text("[" * 100_000)
    for name in ("text.pt", "text.safetensors"):
        (folder / name).write_text("no checkpoint")
    for name, content in FILES.items():
        torch.save(content, folder / f"{name}.pt")
    whole = (folder / "integers.pt").read_bytes()
    (folder / "cut.pt").write_bytes(whole[: len(whole) // 2])
    return folder


@pytest.mark.parametrize(
    ("module", "words", "thing", "mend"),
    TABLE,
    ids=[f"{row[0].__name__}: {row[2][:40]}" for row in TABLE],
)
def test_one_line_and_nothing_left(
    bad, monkeypatch, refuse, module, words, thing, mend
):
    words = [word.replace("{bad}", str(bad)) for word in words]
    monkeypatch.setattr("porting.seeded.seeded_state", None)  # it takes a while
    before = sorted(bad.rglob("*"))
    line = refuse(module, *words)
    assert thing in line
    assert mend in line
    assert sorted(bad.rglob("*")) == before
