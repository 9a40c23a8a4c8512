from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # tooling/goldens
MODELS = ROOT / "models"
FIXTURES = ROOT / "fixtures"


def file_of(model_id: str) -> str:
    return model_id.replace("/", "--") + ".json"


def id_of(file_name: str) -> str:
    return file_name.removesuffix(".json").replace("--", "/")
