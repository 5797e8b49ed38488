"""What every target shares that runs the user's code: fingerprints, command lines, variables, pipelines, what was promised.

    words          command lines, and the variables by which code finds its inputs and outputs
    fingerprints   what a run depends on, as 64 hex digits
    expectations   results held against what was promised
    results        metrics.json, secrets taken out of output, the last lines for an error
    pipelines      a pipeline's steps as its runner reads them: one JSON file, without secrets
    reach          which steps a change reaches
    dagster_job    the same pipeline as a Dagster job (imported only where Dagster runs)
    dagster_pipelines  attributes, results and supervision of the pipelines that Dagster runs
    lowering       attributes that the lowerings of several targets have in common
    jobs           what the training jobs of every target share
    given          what a run takes from the spec's folder
    archive        what a cloud's container gets of a run

All of it is pure but for ``expectations``, which reads the tables that it is shown, ``given`` and ``archive``, which read the files.
"""
