import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.sealing import Undecryptable
from services.vault_svc.domain.envelope import OVERHEAD, Binding, Sealed, reseal, seal, unseal
from services.vault_svc.domain.keys import keyring
from services.vault_svc.domain.plaintext import Plaintext

OLD, NEW = "an old key of the vault", "a new key of the vault"
RING = keyring(NEW, OLD) or pytest.fail("no keyring")
ONLY_OLD = keyring(OLD) or pytest.fail("no keyring")
HERE = Binding("secret", "a" * 24, "DB_PASSWORD", "1" * 24, "value")

texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(texts)
def test_a_value_comes_back_byte_for_byte(text: str) -> None:
    sealed = seal(RING, HERE, Plaintext(text))
    assert unseal(RING, HERE, sealed).reveal() == text
    assert len(sealed.blob) == len(text.encode()) + OVERHEAD


def test_equal_values_look_different() -> None:
    value = Plaintext("same")
    assert seal(RING, HERE, value).blob != seal(RING, HERE, value).blob


@given(texts, st.data())
def test_any_changed_bit_is_refused(text: str, data: st.DataObject) -> None:
    sealed = seal(RING, HERE, Plaintext(text))
    position = data.draw(st.integers(0, len(sealed.blob) * 8 - 1))
    blob = bytearray(sealed.blob)
    blob[position // 8] ^= 1 << position % 8
    with pytest.raises(Undecryptable):
        unseal(RING, HERE, Sealed(sealed.key_id, bytes(blob)))


@given(texts, st.data())
def test_a_shortened_or_lengthened_blob_is_refused(text: str, data: st.DataObject) -> None:
    blob = seal(RING, HERE, Plaintext(text)).blob
    cut = data.draw(st.integers(0, len(blob) - 1))
    tail = data.draw(st.binary(min_size=1, max_size=5))
    for damaged in (blob[:cut], blob + tail):
        with pytest.raises(Undecryptable):
            unseal(RING, HERE, Sealed(RING.current.id, damaged))


@given(st.tuples(texts, texts, texts, texts, texts), st.tuples(texts, texts, texts, texts, texts))
def test_a_ciphertext_opens_only_where_it_belongs(there: tuple[str, ...], elsewhere: tuple[str, ...]) -> None:
    sealed = seal(RING, Binding(*there), Plaintext("value"))
    if there == elsewhere:
        assert unseal(RING, Binding(*elsewhere), sealed) == Plaintext("value")
    else:
        with pytest.raises(Undecryptable):
            unseal(RING, Binding(*elsewhere), sealed)


@pytest.mark.parametrize(
    "moved",
    [
        Binding("certificate", HERE.grid_id, HERE.name, HERE.record_id, HERE.field),
        Binding(HERE.kind, "b" * 24, HERE.name, HERE.record_id, HERE.field),
        Binding(HERE.kind, HERE.grid_id, "OTHER", HERE.record_id, HERE.field),
        Binding(HERE.kind, HERE.grid_id, HERE.name, "2" * 24, HERE.field),
        Binding(HERE.kind, HERE.grid_id, HERE.name, HERE.record_id, "other"),
        Binding(HERE.kind, HERE.grid_id + "D", HERE.name[1:], HERE.record_id, HERE.field),
    ],
)
def test_each_part_of_the_binding_counts(moved: Binding) -> None:
    with pytest.raises(Undecryptable):
        unseal(RING, moved, seal(RING, HERE, Plaintext("value")))


def test_the_two_layers_of_two_blobs_cannot_be_mixed() -> None:
    one, two = seal(RING, HERE, Plaintext("one")).blob, seal(RING, HERE, Plaintext("two")).blob
    with pytest.raises(Undecryptable):
        unseal(RING, HERE, Sealed(RING.current.id, one[:69] + two[69:]))


def test_old_keys_decrypt_and_resealing_moves_to_the_current_one() -> None:
    sealed = seal(ONLY_OLD, HERE, Plaintext("kept"))
    moved = reseal(RING, HERE, sealed)
    assert (sealed.key_id, moved.key_id) == (ONLY_OLD.current.id, RING.current.id)
    assert unseal(RING, HERE, sealed) == unseal(RING, HERE, moved) == Plaintext("kept")
    with pytest.raises(Undecryptable):
        unseal(ONLY_OLD, HERE, moved)


def test_errors_and_text_forms_do_not_show_the_value() -> None:
    value = Plaintext("hunter2")
    sealed = seal(ONLY_OLD, HERE, value)
    with pytest.raises(Undecryptable) as caught:
        unseal(ONLY_OLD, HERE, Sealed(sealed.key_id, sealed.blob[:-1] + bytes([sealed.blob[-1] ^ 1])))
    shown = f"{value} {value!r} {value!s:>40} {[value]} {caught.value!r} {sealed!r} {ONLY_OLD!r}"
    assert "hunter2" not in shown
    assert caught.value.__cause__ is None


def test_a_plaintext_cannot_be_serialized_or_hashed() -> None:
    with pytest.raises(TypeError, match="never serialized"):
        pickle.dumps(Plaintext("hunter2"))
    with pytest.raises(TypeError, match="never serialized"):
        copy.deepcopy(Plaintext("hunter2"))
    with pytest.raises(TypeError):
        hash(Plaintext("hunter2"))
    assert Plaintext("a") != "a"
