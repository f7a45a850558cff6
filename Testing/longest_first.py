"""Which files of tests take longest: workers that begin with these end together, not one long after the others.

Of three neighbours one needs a browser, because two browsers at a time wait for each other.
"""

LONGEST_FIRST = (
    "web/test_page.py",
    "training/synthesis/test_synthesis.py",
    "cohort/test_runs.py",
    "web/test_viewing.py",
    "training/trainer/test_train_command.py",
    "cli/test_segment.py",
    "web/test_opening.py",
    "session/test_session.py",
    "cli/test_failures.py",
    "web/test_correcting.py",
    "desktop/test_run_all.py",
    "cli/test_other_commands.py",
    "web/test_starting.py",
    "desktop/test_module.py",
    "inference/test_segmenter.py",
    "gpu/test_measure.py",
    "training/trainer/test_fine_tuning_example.py",
    "dicom_out/test_segment_to_pacs.py",
)
