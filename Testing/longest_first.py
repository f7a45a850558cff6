"""Which files of tests take longest: workers that begin with these end together, not one long after the others.

Of three neighbours one needs a browser, because two browsers at a time wait for each other.
"""

LONGEST_FIRST = (
    "web/test_page.py",
    "cohort/test_runs.py",
    "cli/test_failures.py",
    "web/test_opening.py",
    "session/test_session.py",
    "phantom/test_phantom.py",
    "web/test_viewing.py",
    "cli/test_segment.py",
    "training/trainer/test_train_command.py",
    "web/test_correcting.py",
    "desktop/test_run_all.py",
    "desktop/test_module.py",
    "web/test_starting.py",
    "dicom_out/test_segment_to_pacs.py",
    "training/synthesis/test_synthesis.py",
    "web/test_quick_actions.py",
    "training/trainer/test_fine_tuning_example.py",
    "worker/test_segmenting.py",
    "web/test_access.py",
    "training/trainer/test_training_run.py",
    "cli/test_other_commands.py",
    "research/test_phantom_training.py",
    "gpu/test_measure.py",
    "inference/test_field.py",
    "training/evaluation/test_evaluate_command.py",
    "scene/test_overview.py",
    "worker/test_server.py",
    "worker/test_client.py",
)
