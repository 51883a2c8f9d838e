"""An adapter's weights at rest: sealed where there is a key, because they may hold what a user's cases say.

Belongs here: sealing bytes, and finding an adapter's weights in a folder. Does not belong here: where the key comes
from (settings), and what the weights mean (``peft_backend``).

AES-GCM (NIST SP 800-38D) with a random nonce of 12 bytes; the file's name is bound to what it holds, so that no
sealed file passes for another one. A sealed file is ``MAGIC``, the nonce, and the ciphertext with its tag.
"""

import os
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sgf_pipeline.domain.errors import ModelError

WEIGHTS_FILE = "adapter_model.safetensors"
SEALED_FILE = WEIGHTS_FILE + ".sealed"
MAGIC = b"SGFSEAL1"
NONCE_BYTES = 12


def seal(data: bytes, key: bytes, name: str) -> bytes:
    """The data, encrypted and bound to ``name``. ``key`` has 16, 24 or 32 bytes."""
    nonce = os.urandom(NONCE_BYTES)
    return MAGIC + nonce + AESGCM(key).encrypt(nonce, data, name.encode())


def unseal(sealed: bytes, key: bytes, name: str) -> bytes:
    """What was sealed under ``name``. Raises ``ModelError`` for another key or name, and for changed bytes."""
    body = sealed.removeprefix(MAGIC)
    try:
        if len(body) == len(sealed) or len(body) < NONCE_BYTES:
            raise InvalidTag
        return AESGCM(key).decrypt(body[:NONCE_BYTES], body[NONCE_BYTES:], name.encode())
    except InvalidTag as error:
        raise ModelError(
            f"{name} cannot be decrypted: set SGF_PARQUET_KEY to the key that it was written with, or train the adapter"
            " again"
        ) from error


def adapter_weights(folder: Path, key: bytes | None) -> dict[str, Any]:
    """The tensors of an adapter by name, sealed or not; nothing decrypted touches the disk.

    Raises ``ModelError`` where they are sealed and the key is missing or another one, or the file is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    sealed = folder / SEALED_FILE
    if sealed.is_file():
        if key is None:
            raise ModelError(f"{sealed} is encrypted: set SGF_PARQUET_KEY to the key that it was written with")
        data = unseal(sealed.read_bytes(), key, SEALED_FILE)
    else:
        data = (folder / WEIGHTS_FILE).read_bytes()
    try:
        tensors: dict[str, Any] = load(data)
    except SafetensorError as error:
        raise ModelError(f"{folder} holds no readable weights ({error}): train the adapter again") from error
    return tensors
