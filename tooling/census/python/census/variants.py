"""Changes of a file that show which keys a class reads. `set` is put over the saved file, `unset` leaves keys out."""

from .switches import SWITCHES


# A run of these takes minutes; they get only what stands in `switches.py`.
SLOW = {"bailing_hybrid", "kimi_linear", "hrm_text", "laguna", "inkling_text", "inkling2_text", "inkling2_loop_text", "cpmant", "glm5_next_text"}


def each(parameters: dict, change) -> dict:
    """The change, in each dictionary of nested ones."""
    if any(isinstance(value, dict) for value in parameters.values()):
        return {key: change(value) if isinstance(value, dict) else value for key, value in parameters.items()}
    return change(parameters)


def kept(parameters: dict) -> dict:
    names = ("rope_theta", "partial_rotary_factor", "mrope_section", "mrope_interleaved")
    return {name: parameters[name] for name in names if name in parameters}


def changes(model_type: str, text, composite: bool) -> dict[str, dict]:
    found: dict[str, dict] = {}
    parameters = getattr(text, "rope_parameters", None) if model_type not in SLOW else None
    if isinstance(parameters, dict) and parameters:
        longest = getattr(text, "max_position_embeddings", None)
        enough = isinstance(longest, int) and longest >= 4096
        found["base"] = {"set": {"rope_parameters": each(parameters, lambda one: {**one, "rope_theta": 54321.0})}}
        if not composite:
            found["partial"] = {"set": {"rope_parameters": each(parameters, lambda one: {**one, "partial_rotary_factor": 0.5})}}
            found["linear"] = {
                "set": {"rope_parameters": each(parameters, lambda one: {"rope_type": "linear", **kept(one), "factor": 4.0})}
            }
            scaled = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": longest // 4 if enough else 1024}
            found["yarn"] = {
                "set": {
                    "rope_parameters": each(parameters, lambda one: {**scaled, **kept(one)}),
                    **({} if enough else {"max_position_embeddings": 4096}),
                }
            }
        found["v4"] = {
            "set": {"rope_theta": 54321.0, "rope_scaling": {"type": "linear", "factor": 2.0}},
            "unset": ["rope_parameters"],
        }
    found.update({name: change(text) for name, change in SWITCHES.get(model_type, {}).items()})
    return found
