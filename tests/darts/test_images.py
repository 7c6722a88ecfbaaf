import hashlib
import io
import pickle
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image

from a2v_core.darts import images
from a2v_core.darts.augmentation import (
    ASPECT,
    Augmentation,
    augment_large,
    augment_small,
    central_crop,
    crop_and_flip,
    cut_out,
    normalised,
    random_box,
    turn_hue,
)
from a2v_core.darts.image_folder import SIZE
from a2v_core.darts.images import load_dataset
from a2v_core.errors import DataError, DigestError, MissingDataError, SettingsError

CPU = torch.device("cpu")


def test_crop_and_flip_by_hand():
    image = torch.arange(9).reshape(1, 1, 3, 3).repeat(2, 1, 1, 1)
    corner, flip = torch.tensor([[0, 1], [1, 0]]), torch.tensor([False, True])
    found = crop_and_flip(image, corner, flip, (2, 2))
    assert found[:, 0].tolist() == [[[1, 2], [4, 5]], [[4, 3], [7, 6]]]


def test_cutout_by_hand_is_clipped_at_the_border():
    ones = torch.ones(2, 1, 4, 4)
    found = cut_out(ones, torch.tensor([[0, 0], [2, 2]]), 2)
    assert found[0, 0].sum() == 15  # rows -1 and 0, columns -1 and 0
    assert found[0, 0, 0, 0] == 0
    assert found[1, 0].tolist() == [[1, 1, 1, 1], [1, 0, 0, 1], [1, 0, 0, 1], [1, 1, 1, 1]]
    assert torch.equal(cut_out(ones, torch.tensor([[0, 0], [2, 2]]), 0), ones)


def test_normalisation_by_hand():
    image = torch.tensor([0, 255], dtype=torch.uint8).reshape(1, 2, 1, 1)
    found = normalised(image, torch.tensor([0.5, 0.5]), torch.tensor([0.25, 0.5]))
    assert found.flatten().tolist() == [-2, 1]


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


def test_augmentation_depends_on_the_image_and_the_epoch_alone(digits):
    data, rows = digits.train, np.array([5, 900, 17, 3])
    together, = data.batches([rows], Augmentation(4, 16, seed=1, epoch=2), CPU)
    parts = list(data.batches([rows[3:], rows[:3][::-1].copy()], Augmentation(4, 16, seed=1, epoch=2), CPU))
    assert torch.equal(together[0], torch.cat([parts[1][0].flip(0), parts[0][0]]))
    assert together[1].tolist() == data.labels[torch.from_numpy(rows)].tolist()
    for other in (Augmentation(4, 16, 1, 3), Augmentation(4, 16, 2, 2)):
        changed, = data.batches([rows], other, CPU)
        assert not torch.equal(together[0], changed[0])


def test_augmentation_without_padding_and_cutout_only_flips(digits):
    rows = np.arange(64)
    plain, = digits.train.batches([rows], None, CPU)
    changed, = digits.train.batches([rows], Augmentation(0, 0, 0, 0), CPU)
    same = (changed[0] == plain[0]).flatten(1).all(1)
    mirrored = (changed[0] == plain[0].flip(3)).flatten(1).all(1)
    assert bool((same | mirrored).all())
    assert 16 <= int(mirrored.sum()) <= 48


def test_every_crop_is_a_window_of_the_padded_image():
    image = torch.randint(1, 255, (1, 1, 8, 8), dtype=torch.uint8)
    padded = torch.nn.functional.pad(image, (4,) * 4)[0, 0]
    windows = [w for i in range(9) for j in range(9) for w in (padded[i:i + 8, j:j + 8],)]
    windows += [w.flip(1) for w in windows]
    zero, one = torch.zeros(1), torch.full((1,), 1 / 255)
    seen = set()
    for epoch in range(300):
        found = augment_small(image, np.array([0]), 1, zero, one, Augmentation(4, 0, 0, epoch))[0, 0].round().byte()
        seen.add(next(i for i, window in enumerate(windows) if torch.equal(window, found)))
    assert len(seen) > 100  # of 162; the border included
    assert {0, 8, 72, 80} & {i % 81 for i in seen}


def test_digits_are_upsampled_pixels_and_normalised(digits):
    from sklearn.datasets import load_digits

    original = load_digits()
    assert (len(digits.train), len(digits.test), digits.n_classes) == (1500, 297, 10)
    picture = digits.test.images[0, 1].float()
    assert torch.equal(picture[::4, ::4], picture[3::4, 3::4])
    assert np.abs(picture[::4, ::4].numpy() / 255 * 16 - original.images[1500]).max() < 0.05
    assert digits.test.labels.tolist() == original.target[1500:].tolist()
    (x, _), = digits.train.batches([np.arange(1500)], None, CPU)
    assert x.mean((0, 2, 3)).tolist() == pytest.approx([0] * 3, abs=1e-4)
    assert x.std((0, 2, 3)).tolist() == pytest.approx([1] * 3, abs=1e-4)


def python2_pickle(data: np.ndarray, labels: list[int]) -> bytes:
    """A batch as Python 2 pickled it: byte strings without a declared encoding."""
    # Python 3 would write the pixels as text that it encodes itself; Python 2 wrote a plain byte string (opcode T).
    raw = data.tobytes()
    head = (b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR(K\x01(M" +
            data.shape[0].to_bytes(2, "little") + b"M" + data.shape[1].to_bytes(2, "little") +
            b"tcnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T" +
            len(raw).to_bytes(4, "little") + raw + b"tb")
    listed = b"(" + b"".join(b"K" + bytes([label]) for label in labels) + b"l"
    return b"\x80\x02(U\x04data" + head + b"U\x06labels" + listed + b"d."


@pytest.fixture
def cifar10(tmp_path, monkeypatch):
    """A small archive of the published form, registered in place of the real one."""
    rng = np.random.default_rng(0)
    parts = {name: (rng.integers(0, 256, (300, 3072), dtype=np.uint8), rng.integers(0, 10, 300).tolist())
             for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]}
    path = tmp_path / "cifar-10-python.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, part in parts.items():
            content = python2_pickle(*part)
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    registered = {**vars(images.CIFAR10), "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": None}
    monkeypatch.setattr(images, "CIFAR10", images.Source(**registered))
    monkeypatch.delenv("A2V_DATA_MIRROR", raising=False)
    images._cifar10.cache_clear()
    yield tmp_path, parts
    images._cifar10.cache_clear()


def test_cifar10_is_read_from_its_archive(cifar10, monkeypatch):
    folder, parts = cifar10
    monkeypatch.setattr(images, "_in_memory", lambda name, pixels, labels, n_train, n_classes: (pixels, labels))
    pixels, labels = load_dataset("cifar10", folder)
    assert pixels.shape == (1800, 3, 32, 32)
    assert np.array_equal(pixels[:300].reshape(300, -1), parts["data_batch_1"][0])
    assert labels.tolist() == [label for part in parts.values() for label in part[1]]


def test_an_altered_cifar10_is_refused(cifar10):
    folder, _ = cifar10
    path = folder / "cifar-10-python.tar.gz"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DigestError, match="does not have the registered digest"):
        load_dataset("cifar10", folder)


def test_a_missing_cifar10_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.delenv("A2V_DATA_MIRROR", raising=False)
    with pytest.raises(MissingDataError, match=r"170,498,071 bytes.*--download.*--images"):
        load_dataset("cifar10", tmp_path / "none")
    with pytest.raises(MissingDataError, match="upstream/cifar10"):
        load_dataset("cifar10", data_dir=tmp_path)


def test_a_malicious_pickle_is_refused():
    with pytest.raises(DataError, match=r"builtins\.eval"):
        images.read_cifar10_batch(b"cbuiltins\neval\n(V1\ntR.", "data_batch_1")
    with pytest.raises(DataError, match="data_batch_2"):
        images.read_cifar10_batch(pickle.dumps({"labels": []}), "data_batch_2")


def test_an_unknown_dataset_is_refused():
    with pytest.raises(SettingsError, match=r"'mnist'.*cifar10, imagenet, digits"):
        load_dataset("mnist")


@pytest.fixture
def imagenet(tmp_path):
    """Two classes: red images 300 x 400 and blue ones 400 x 300."""
    for part, n in (("train", 3), ("val", 2)):
        for name, size, colour in (("n01", (300, 400), (200, 10, 10)), ("n02", (400, 300), (10, 10, 200))):
            folder = tmp_path / part / name
            folder.mkdir(parents=True)
            for i in range(n):
                Image.new("RGB", size, colour).save(folder / f"{i}.JPEG")
    return tmp_path


def test_imagenet_comes_from_folders(imagenet):
    data = load_dataset("imagenet", imagenet)
    assert (len(data.train), len(data.test), data.n_classes, data.network) == (6, 4, 2, "imagenet")
    (x, y), = data.test.batches([np.array([3, 0])], None, CPU)
    assert x.shape == (2, 3, SIZE, SIZE)
    assert y.tolist() == [1, 0]
    # Normalised red of an image of one colour; JPEG may move it by a level or two.
    assert x[1, 0, 100, 100].item() == pytest.approx((200 / 255 - 0.485) / 0.229, abs=0.05)
    (again, _), = data.train.batches([np.array([0, 4])], Augmentation(0, 0, 0, 1), CPU)
    apart = [x for x, _ in data.train.batches([np.array([4]), np.array([0])], Augmentation(0, 0, 0, 1), CPU)]
    assert torch.equal(again, torch.cat(apart[::-1]))


def test_folders_that_are_not_imagenet_are_named(imagenet, tmp_path):
    with pytest.raises(SettingsError, match="--images"):
        load_dataset("imagenet")
    with pytest.raises(MissingDataError, match="no folder"):
        load_dataset("imagenet", tmp_path / "nowhere")
    (imagenet / "val" / "n02").rename(imagenet / "val" / "n03")
    with pytest.raises(DataError, match="classes of train and val differ, 2 are in one alone, first 'n02'"):
        load_dataset("imagenet", imagenet)
    (imagenet / "val" / "n03").rename(imagenet / "val" / "n02")
    (imagenet / "train" / "n01" / "0.JPEG").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"^\S+0.JPEG cannot be read as an image: replace or remove it$"):
        list(load_dataset("imagenet", imagenet).train.batches([np.array([0])], None, CPU))


def test_random_boxes_lie_inside_and_have_the_published_range():
    rng = np.random.default_rng(0)
    boxes = np.array([random_box(500, 400, rng) for _ in range(2000)])
    assert boxes.min() >= 0
    assert boxes[:, 2].max() <= 500
    assert boxes[:, 3].max() <= 400
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    share, aspect = width * height / 200_000, width / height
    assert 0.07 < share.min() < 0.1
    assert share.max() > 0.95
    assert ASPECT[0] - 0.02 < aspect.min() < 0.77
    assert 1.3 < aspect.max() < ASPECT[1] + 0.02
    # Of a strip no box with an allowed ratio and the smallest area fits: its middle is taken.
    assert random_box(1000, 10, rng) == (493, 0, 506, 10)


def test_a_turned_hue_keeps_grey_and_moves_colours():
    grey = Image.new("RGB", (4, 4), (90, 90, 90))
    assert turn_hue(grey, 0.2).getpixel((0, 0)) == (90, 90, 90)
    red = Image.new("RGB", (4, 4), (255, 0, 0))
    turned = turn_hue(red, 1 / 3).getpixel((0, 0))
    assert turned[1] > 250
    assert max(turned[0], turned[2]) < 10


def test_large_images_come_out_square_and_the_same_again():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    first, again, other = (np.array(augment_large(image, row, 32, Augmentation(0, 0, 0, 0))) for row in (1, 1, 2))
    assert first.shape == (32, 32, 3)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_central_crop_is_the_middle():
    pixels = np.zeros((50, 90, 3), np.uint8)
    pixels[10:40, 30:60] = 255
    assert np.array(central_crop(Image.fromarray(pixels), 50, 30)).min() == 255
    assert central_crop(Image.fromarray(pixels), 25, 20).size == (20, 20)
