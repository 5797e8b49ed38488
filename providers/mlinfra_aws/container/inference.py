"""Serves an MLflow model in AWS's inference containers (https://github.com/aws/sagemaker-inference-toolkit): runs there, not here.

The body is MLflow's scoring protocol (``{"inputs": …}``, ``{"instances": …}``, ``{"dataframe_split": …}`` or CSV), the answer ``{"predictions": …}``.
"""

import io
import json


def model_fn(model_dir):
    import mlflow.pyfunc

    return mlflow.pyfunc.load_model(model_dir)


def input_fn(body, content_type="application/json"):
    import pandas as pd

    text = body.decode() if isinstance(body, (bytes, bytearray)) else body
    if content_type.split(";")[0] == "text/csv":
        return pd.read_csv(io.StringIO(text))
    data = json.loads(text)
    if "dataframe_split" in data:
        return pd.DataFrame(**{k: v for k, v in data["dataframe_split"].items() if k in ("data", "columns", "index")})
    if "dataframe_records" in data:
        return pd.DataFrame(data["dataframe_records"])
    for key in ("inputs", "instances"):
        if key in data:
            return data[key] if isinstance(data[key], dict) else pd.DataFrame(data[key])
    raise ValueError("the body needs inputs, instances, dataframe_split or dataframe_records")


def predict_fn(data, model):
    return model.predict(data)


def output_fn(prediction, accept="application/json"):
    found = prediction.tolist() if hasattr(prediction, "tolist") else prediction
    if hasattr(found, "to_dict"):
        found = found.to_dict("records")
    return json.dumps({"predictions": found}), "application/json"
