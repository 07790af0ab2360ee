"""params.yaml is read with the values that DVC reads, and a wrong key is refused in one line before work starts."""

import importlib
import re

import pytest
from dvc.utils.serialize import parse_yaml as parse_as_dvc

from classifier.parameters import parse_yaml, read_section
from stages import train
from tests import schema
from tests.conftest import PARAMS, REPOSITORY

OWN = [REPOSITORY / "params.yaml", *sorted((REPOSITORY / "recipes").glob("*.yaml"))]


@pytest.mark.parametrize("recipe", [PARAMS, *OWN], ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_each_recipe_has_the_parameters_of_each_stage_in_order(recipe):
    keys = {section: tuple(values) for section, values in parse_yaml(recipe.read_bytes()).items()}
    assert keys == {name: kind.__struct_fields__ for name, kind in schema.SECTIONS.items()}
    for name, kind in schema.SECTIONS.items():
        assert read_section(name, kind, recipe)


def test_all_recipes_have_the_same_comments_and_name_the_schema():
    texts = [path.read_text() for path in OWN]
    comments = {tuple(re.findall(r"(?m)^  (\w+): .* # (.*)$", text)) for text in texts}
    assert len(comments) == 1
    assert len(comments.pop()) == sum(len(kind.__struct_fields__) for kind in schema.SECTIONS.values())
    assert all(text.startswith("# yaml-language-server: $schema=params.schema.json\n") for text in texts)


def test_the_schema_for_editors_is_that_of_the_code():
    assert (REPOSITORY / schema.PATH).read_text() == schema.as_json(), "run `python -m tests.schema`"


SCALARS = "true yes on null ~ 0o17 1_000 1:30 .5 1e-05 1e5 .nan 2020-01-01 'yes' a:b"


@pytest.mark.parametrize("scalar", SCALARS.split())
def test_a_value_is_read_as_dvc_reads_it(scalar):
    document = f"a: {scalar}"
    assert repr(parse_yaml(document.encode())) == repr(parse_as_dvc(document, "params.yaml"))


OWN_DATA = "or the path of your own data (DATASET_MIRROR takes the URL of a copy)"
KNOWN = f"download.dataset must be mnist, mnist-5k, fashion-mnist {OWN_DATA}, got "


@pytest.mark.parametrize(
    ("stage", "changed", "message"),
    [
        ("train", "batch_sise: 100", "Object contains unknown field `batch_sise`"),
        ("train", "epochs:", "Expected `int`, got `null` - at `train.epochs`"),
        ("train", "epochs: 2.0", "Expected `int`, got `float` - at `train.epochs`"),
        ("train", "learning_rate: .nan", "Expected `float` > 0.0 - at `train.learning_rate`"),
        ("train", f"learning_rate: 1{400 * '0'}", "Number out of range - at `train.learning_rate`"),
        ("train", "learning_rate: '1e-5'", "Expected `float`, got `str` - at `train.learning_rate`"),
        ("train", "dense_units: [128, 0]", "Expected `int` >= 1 - at `train.dense_units[1]`"),
        ("train", "batch_normalization: on", "Expected `bool`, got `str` - at `train.batch_normalization`"),
        ("train", "schedule: linear", "Invalid enum value 'linear' - at `train.schedule`"),
        ("download", "dataset: [mnist]", "Expected `str`, got `array` - at `download.dataset`"),
        ("download", "resize: [7, 32]", "Expected `int` >= 8 - at `download.resize[0]`"),
        ("download", "dataset: mnits", f"{KNOWN}'mnits'"),
        ("download", "dataset: https://me:s3cr3t@host.org/a.npz", f"{KNOWN}'host.org'"),
    ],
)
def test_a_wrong_parameter_is_refused_in_one_line(project, refusal, stage, changed, message):
    section = PARAMS.read_text().partition(f"\n{stage}:\n")[2].partition("\n\n")[0]
    others = re.sub(rf"(?m)^  {changed.partition(':')[0]}:.*\n", "", f"{section}\n")
    (project / "params.yaml").write_text(f"{stage}:\n{others}  {changed}\n")
    rule = f"section {stage}: {message}; params.schema.json has the rule of each key"
    main = importlib.import_module(f"stages.{stage}").main
    assert refusal(stage, main) == f"{stage}: params.yaml: {message if KNOWN in message else rule}"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("", "params.yaml: section train: Expected `object`, got `null`"),
        ("train: 5", "params.yaml: section train: Expected `object`, got `int`"),
        ("train: {epochs: 1}", "params.yaml: section train: Object missing required field `filters`"),
        ("train: {epochs: 1}\ntrain: {epochs: 2}", 'params.yaml: not valid YAML: found duplicate key "train"'),
        ("train: 2020-13-01", "params.yaml: not valid YAML: month must be in 1..12"),
        ("train: !!python/object:os.system {}", "params.yaml: not valid YAML: could not determine a constructor"),
        ("<<<<<<< HEAD\ntrain: 1\n=======\n>>>>>>> one\n", "a merge left conflicts in params.yaml: "),
        (None, "params.yaml is missing; run the pipeline in the folder that contains it"),
    ],
)
def test_a_document_without_the_section_is_refused_in_one_line(project, refusal, document, message):
    (project / "params.yaml").unlink()
    if document is not None:
        (project / "params.yaml").write_text(document)
    assert message in refusal("train", train.main)
