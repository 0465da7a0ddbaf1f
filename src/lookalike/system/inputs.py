"""Values that callers give in several forms: ids of images, and images themselves.

Nothing here imports NumPy or Pillow before a caller gives an array or a picture of theirs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from io import BytesIO
from numbers import Integral
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable
from uuid import UUID

from lookalike.errors import ImageRejected, InputError, Reason
from lookalike.system.text import with_article

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

# --- ids ------------------------------------------------------------------------------------


Id: TypeAlias = str | int | UUID
"""An id from a caller. A number or a UUID stands for its text: 17 and "17" are one image."""


def id_of(value: Any) -> str:
    """The text of one id.

    Raises:
        InputError: it is neither a text nor a whole number nor a UUID.
    """
    if isinstance(value, str):
        return str(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Integral) and not isinstance(value, bool):
        return str(int(value))
    raise InputError(f"An id is a text, a whole number or a UUID (got {_shown(value)}).")


def ids_of(values: Any) -> list[str]:
    """The texts of several ids, or of one: a text is one id, never a sequence of letters.

    Raises:
        InputError: one is neither a text nor a whole number nor a UUID.
    """
    if values is None:
        return []
    if isinstance(values, bytes | bytearray | Mapping) or not isinstance(values, Iterable):
        return [id_of(values)]
    if isinstance(values, str):
        return [id_of(values)]
    return [id_of(value) for value in values]


# --- images ---------------------------------------------------------------------------------


@runtime_checkable
class ReadableFile(Protocol):
    """An open file, or anything else with its bytes to read."""

    def read(self) -> bytes: ...


@runtime_checkable
class ArrayLike(Protocol):
    """An array of pixels, or a Pillow image: NumPy arrays, tensors in main memory."""

    @property
    def __array_interface__(self) -> Any: ...


@runtime_checkable
class TensorLike(Protocol):
    """A tensor that converts to an array."""

    def __array__(self) -> Any: ...


@runtime_checkable
class NumberArray(Protocol):
    """Numbers in an array of one dimension, of NumPy or any other library."""

    def tolist(self) -> Any: ...


PlainImage: TypeAlias = str | os.PathLike[str] | bytes
"""A path or a URL, or the bytes of a file."""

ImageInput: TypeAlias = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | ReadableFile | ArrayLike | TensorLike
)
"""An image from a caller: a path or a URL; a file's bytes, or an open file; a Pillow image; or an
array of RGB pixels."""

_PNG_MODES = {"1", "L", "LA", "P", "RGB", "RGBA", "I;16"}


def is_url(image: Any) -> bool:
    """True for the address of an image on the web."""
    return isinstance(image, str) and image.lower().startswith(("http://", "https://"))


BUCKET_SCHEMES = ("s3", "gs", "az")
"""Schemes of the addresses in object stores."""


def is_object(address: str) -> bool:
    """True for the address of an object or a folder in an object store."""
    scheme, separator, _ = address.partition("://")
    return bool(separator) and scheme in BUCKET_SCHEMES


def plain_image(image: Any) -> PlainImage:
    """The path or the bytes of an image; a picture or an array becomes the bytes of a PNG.

    Raises:
        InputError: it is nothing that an image can be made of.
        ImageRejected: a Pillow image whose file is damaged.
    """
    if isinstance(image, str | os.PathLike | bytes):
        return image
    if isinstance(image, bytearray | memoryview):
        return bytes(image)
    if _is_pillow(image):
        return _encoded(image)
    if isinstance(image, ReadableFile):
        data = image.read()
        if isinstance(data, str):
            raise InputError('The image is a file opened as text: open it with mode "rb".')
        return bytes(data)
    if isinstance(image, ArrayLike | TensorLike):
        return _encoded(_picture(image))
    raise InputError(
        "An image is a path, a file's bytes, an open file, a Pillow image or an array of pixels "
        f"(got {_shown(image)})."
    )


def plain_images(images: Any) -> list[PlainImage]:
    """One image, several or none as a list; raises what `plain_image` raises."""
    if images is None:
        return []
    if is_one_image(images):
        return [plain_image(images)]
    if isinstance(images, Mapping) or not isinstance(images, Iterable):
        return [plain_image(images)]  # which says what is wrong
    return [plain_image(image) for image in images]


def is_one_image(value: Any) -> bool:
    """True for one image, False for several in a list, a batch or any other iterable."""
    if isinstance(value, list | tuple):  # most often; what follows takes longer
        return False
    if isinstance(value, str | bytes | bytearray | memoryview | os.PathLike) or _is_pillow(value):
        return True
    if isinstance(value, ArrayLike | TensorLike):  # also a data frame's column, of paths
        kind = getattr(getattr(value, "dtype", None), "kind", "f")
        return kind in "biuf" and getattr(value, "ndim", 0) in (2, 3)
    return isinstance(value, ReadableFile)


def _is_pillow(value: Any) -> bool:
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(value, module.Image)


def _encoded(picture: Image.Image) -> bytes:
    """The bytes of a lossless file of a Pillow image, with its orientation and color profile."""
    buffer = BytesIO()
    try:
        picture.load()
        if picture.mode in _PNG_MODES:
            exif = picture.getexif().tobytes()
            profile = picture.info.get("icc_profile")
            picture.save(buffer, "PNG", compress_level=1, exif=exif, icc_profile=profile)
        else:
            picture.save(buffer, "TIFF")
    except (OSError, ValueError, SyntaxError, KeyError) as error:
        raise ImageRejected(Reason.UNREADABLE, f"its Pillow image does not load: {error}") from None
    return buffer.getvalue()


def _picture(array: Any) -> Image.Image:
    """A Pillow image of an array: (height, width) in gray, with 3 channels in RGB or with 4 in
    RGBA, channels last or first; from 0 to 255, or as floats from 0 to 1."""
    import numpy as np
    from PIL import Image

    pixels = np.asarray(array)
    if pixels.ndim == 3 and pixels.shape[0] in (1, 3, 4) and pixels.shape[2] not in (1, 3, 4):
        pixels = np.moveaxis(pixels, 0, 2)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if pixels.ndim not in (2, 3) or channels not in (1, 3, 4) or not pixels.size:
        raise InputError(
            "An array of pixels has the shape (height, width), (height, width, 3) or "
            f"(height, width, 4), and this one {pixels.shape}."
        )
    return Image.fromarray(np.ascontiguousarray(_bytes_of(pixels)))


def _bytes_of(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Pixels from 0 to 255."""
    import numpy as np

    if pixels.dtype == np.uint8:
        return np.asarray(pixels, np.uint8)
    kind = pixels.dtype.kind
    most = 1 if kind in "bf" else 255
    if kind not in "biuf" or not bool(((pixels >= 0) & (pixels <= most)).all()):
        raise InputError(
            "An array of pixels holds whole numbers from 0 to 255, or floats from 0 to 1: convert "
            f"this one, which holds {pixels.dtype}."
        )
    scaled = pixels.astype(np.float64) * (255 if most == 1 else 1)
    return np.asarray(np.rint(scaled), np.uint8)


def _shown(value: Any) -> str:
    """A value in a few words."""
    if isinstance(value, bool | int | float | str | None):
        return repr(value)[:80]
    return with_article(type(value).__name__)
