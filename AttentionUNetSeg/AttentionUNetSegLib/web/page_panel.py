"""The panel on the left, from top to bottom the way a person goes: CT, model, run, result, overlay, files."""

from __future__ import annotations

from trame.widgets import html
from trame.widgets import vuetify3 as vuetify
from trame_server import Server

from ..contracts import THRESHOLD_STEP, THRESHOLDS
from .page_attributes import attributes


def build_panel(server: Server) -> None:
    """Build the panel. Everything is there from the start, so that nothing moves when a result comes."""
    with html.Header(classes="brand"):
        html.Span("AttentionUNetSeg", classes="brand-name")
        html.Span("Pancreas on CT", classes="brand-note")
    with html.Div(classes="sections"):
        _build_ct(server)
        _build_run(server)
        _build_result()
        _build_overlay()
        _build_walls()
        _build_look()
        _build_measurements(server)
        _build_numbers(server)
        _build_files()


def _build_ct(server: Server) -> None:
    with html.Section(classes="section", **attributes(aria_label="CT")):
        html.H2("CT")
        with html.Div(classes="two-lines"):
            with html.Div(classes="line strong"):
                html.Span("{{ volume_name || 'No CT is open' }}", classes="ellipsis", title=("volume_name",))
                html.Span("synthetic", classes="mark", v_if=("volume_is_phantom",))
            html.Div("{{ volume_details || 'Open a file, or try it on a phantom' }}", classes="line small")
        with html.Div(classes="buttons"):
            busy = "opening !== '' || run !== '' || upload_fraction > 0"
            vuetify.VBtn(
                "Open",
                prepend_icon="mdi-folder-open-outline",
                disabled=(busy,),
                click="utils.get('attentionUNetSeg').choose()",
            )
            vuetify.VBtn(
                "Phantom",
                prepend_icon="mdi-human",
                disabled=(busy,),
                click=server.controller.open_phantom,
                title="Draw a synthetic CT",
            )


def _build_run(server: Server) -> None:
    controller = server.controller
    with html.Section(classes="section", **attributes(aria_label="Model and run")):
        with html.Div(classes="with-button"):
            vuetify.VSelect(
                v_model=("model",),
                items=("models",),
                label="Model",
                no_data_text="No model is installed",
                disabled=("models.length === 0 || run !== ''",),
            )
            with html.Button(
                type="button",
                classes="tool",
                disabled=("!model",),
                click="show_card = true",
                title="About this model",
                **attributes(aria_label="About this model"),
            ):
                vuetify.VIcon("mdi-information-outline", size=20)
        html.Div("{{ model_note }}", classes="small note", title=("model_note",))
        vuetify.VCheckbox(
            v_model=("tta",),
            label="Measure the spread (8 passes)",
            disabled=("run !== ''",),
            classes="check",
            title="Test-time augmentation: the mean over slightly changed copies of the CT, and where they differ",
        )
        html.Button(
            "Start from a segmentation instead",
            type="button",
            classes="quiet-button",
            disabled=("!volume_name || opening !== '' || run !== ''",),
            click="show_start = true",
            title="Correct what another tool made",
        )
        # Button and progress take turns in one place of one size.
        with html.Div(classes="run"):
            vuetify.VBtn(
                "Segment Pancreas",
                block=True,
                color="primary",
                variant="flat",
                height=44,
                click=controller.segment,
                disabled=("!volume_name || !model || opening !== ''",),
                v_if=("run === ''",),
            )
            with html.Div(classes="progress", v_else=True):
                with html.Div(classes="progress-line"):
                    vuetify.VProgressLinear(
                        model_value=("progress",),
                        color="primary",
                        height=6,
                        rounded=True,
                        **attributes(aria_label="Progress of the segmentation"),
                    )
                    vuetify.VBtn("Cancel", size="small", click=controller.cancel, disabled=("run === 'cancelling'",))
                html.Div(
                    "{{ stage }}{{ progress > 0 ? ' · ' + Math.round(progress) + ' %' : '' }}"
                    "{{ device_name ? ' · ' + device_name : '' }}",
                    classes="small ellipsis",
                )


def _build_walls() -> None:
    with html.Section(classes=("['section', has_result ? '' : 'idle']",), **attributes(aria_label="Do not enter")):
        with html.Div(classes="headline"):
            html.H2("Do not enter")
            html.Button(
                "From a file",
                type="button",
                classes="quiet-button",
                disabled=("!has_result || opening !== '' || run !== ''",),
                click="picked = []; utils.get('attentionUNetSeg').chooseSegmentation('wall')",
                title="Segments that clicks and strokes keep out of: vessels, duodenum",
            )
        html.Div("No other segments: clicks and strokes go anywhere.", classes="small", v_if=("walls.length === 0",))
        with html.Div(v_for="each in walls", key="each.id"):
            vuetify.VCheckbox(
                model_value=("each.is_wall",),
                label=("each.name",),
                classes="check",
                update_modelValue="trigger('toggle_wall', [each.id])",
            )


def _build_result() -> None:
    with html.Section(classes=("['section', has_result ? '' : 'idle']",), **attributes(aria_label="Result")):
        with html.Div(classes="headline"):
            html.H2("{{ segment_name }}")
            with html.Div(classes="volume", **attributes(aria_live="polite")):
                html.Span("{{ volume_ml === null ? '–' : volume_ml.toFixed(1) }}", classes="number", id="volume")
                html.Span(" mL")
        html.Div("{{ started_from }}", classes="small", v_if=("started_from",))
        _slider("threshold", "Threshold", *THRESHOLDS, THRESHOLD_STEP, "threshold.toFixed(2)")
        _slider("smoothing_mm", "Smoothing", 0, 4, 0.5, "smoothing_mm.toFixed(1) + ' mm'")
        with html.Div(classes="row"):
            vuetify.VCheckbox(
                v_model=("keep_largest",), label="Largest part only", disabled=("!has_result",), classes="check"
            )
            html.Button(
                "Reset",
                type="button",
                classes="quiet-button",
                disabled=("!has_result",),
                click="threshold = model_threshold; smoothing_mm = 0; keep_largest = false",
                title="The threshold that it began with, no smoothing",
            )
        html.Div("{{ parts_note }}", classes="small", v_if=("parts_note",), **attributes(role="status"))
        with html.Div(classes="with-button compare"):
            vuetify.VSelect(
                v_model=("compare",), items=("compare_choices",), label="Compare with", disabled=("!has_result",)
            )
            html.Span("{{ compare_ml === null ? '' : compare_ml.toFixed(1) + ' mL' }}", classes="compare-volume")
        with html.Div(v_if=("compare === 'other'",)):
            _slider(
                "compare_threshold", "Its threshold", *THRESHOLDS, THRESHOLD_STEP,
                "Number(compare_threshold).toFixed(2)",
            )  # fmt: skip


def _build_overlay() -> None:
    with html.Section(classes=("['section', has_result ? '' : 'idle']",), **attributes(aria_label="Overlay")):
        html.H2("Overlay")
        vuetify.VSelect(v_model=("overlay",), items=("overlays",), label="Over the CT", disabled=("!has_result",))
        with html.Div(classes="with-button"):
            vuetify.VSelect(
                v_model=("overlay_color",), items=("overlay_colors",), label="Colours", disabled=("overlay === 'off'",)
            )
            with html.Div(classes=("['ramp', overlay === 'off' ? 'faint' : '']",), **attributes(aria_hidden="true")):
                html.Div(classes="ramp-bar", style=("{ background: overlay_ramp }",))
                with html.Div(classes="ramp-ends"):
                    html.Span("0")
                    html.Span("{{ overlay_top }}")
        html.Div("{{ overlay_note }}", classes="small", v_if=("overlay_note",))
        _slider(
            "overlay_opacity", "Opacity", 0, 1, 0.05, "Math.round(100 * overlay_opacity) + ' %'", "overlay === 'off'"
        )


def _build_look() -> None:
    with html.Section(
        classes=("['section', has_result ? '' : 'idle']",), **attributes(aria_label="Contour and surface")
    ):
        html.H2("Contour and surface")
        vuetify.VSelect(v_model=("contour",), items=("contours",), label="Colour", disabled=("!has_result",))
        _slider("contour_width", "Width", 1, 6, 1, "contour_width + ' px'")
        _slider("contour_fill", "Fill", 0, 1, 0.05, "Math.round(100 * contour_fill) + ' %'")
        _slider("surface_opacity", "3D opacity", 0.1, 1, 0.05, "Math.round(100 * surface_opacity) + ' %'")


def _build_numbers(server: Server) -> None:
    with html.Section(classes=("['section', has_result ? '' : 'idle']",), **attributes(aria_label="Measurements")):
        with html.Div(classes="headline"):
            html.H2("Measurements")
            html.Button(
                "{{ numbers_state === 'working' ? 'Measuring' : numbers.length > 0 ? 'Measure again' : 'Measure' }}",
                type="button",
                classes="quiet-button",
                disabled=("!has_result || numbers_state === 'working'",),
                click=server.controller.measure,
                title="Volume, attenuation, fat, length, thickness, head, body and tail",
            )
        html.Div(
            "These are old: the segment has changed since.",
            classes="small old-note",
            v_if=("numbers_state === 'old'",),
            **attributes(role="status"),
        )
        with html.Table(classes=("['numbers', numbers_state === 'ready' ? '' : 'old']",), v_if=("numbers.length > 0",)):
            with html.Thead(), html.Tr():
                for title in ("", "Value", "Threshold 0.3 to 0.7"):
                    html.Th(title, scope="col")
            with html.Tbody(), html.Tr(v_for="each in numbers", key="each.key"):
                html.Th("{{ each.name }}", scope="row")
                html.Td("{{ each.value }}")
                html.Td("{{ each.range }}")
        html.Div("{{ note }}", v_for="note in numbers_notes", key="note", classes="small")
        with html.Div(classes="files"):
            for ending in ("csv", "json"):
                _file_button(f"'download/numbers_{ending}'", "Table", f".{ending}", "has_result")


def _build_measurements(server: Server) -> None:
    with html.Section(classes="section", v_if=("measurements.length > 0",), **attributes(aria_label="Distances")):
        with html.Div(classes="headline"):
            html.H2("Distances and areas")
            html.Button(
                "Remove all", type="button", classes="quiet-button", click=server.controller.remove_measurements
            )
        with html.Div(v_for="each in measurements", key="each.id", classes="row"):
            html.Span("{{ each.text }}")
            with html.Button(
                type="button",
                classes="notice-close",
                click=(server.controller.remove_measurement, "[each.id]"),
                **attributes(aria_label=("'Remove ' + each.text",)),
            ):
                vuetify.VIcon("mdi-close", size=16)


def _build_files() -> None:
    with html.Section(classes=("['section', has_result ? '' : 'idle']",), **attributes(aria_label="Save")):
        with html.Div(classes="headline"):
            html.H2("Save")
            html.Span("{{ saving }}", classes="small", **attributes(role="status"))
        with html.Div(classes="files"):
            for what, label, ending, there in (
                ("segment", "Segment", ".seg.nrrd", "has_result"),
                ("scene", "Scene", ".mrb", "has_result"),
                ("nifti", "Segment", ".nii.gz", "has_result"),
                ("seg", "DICOM SEG", ".dcm", "has_result && can_save_seg"),
                ("dicom", "SEG and SR", ".zip", "has_result && can_save_seg"),
                ("own_grid", "On its own grid", ".nrrd", "has_own_grid"),
                ("stl", "Surface", ".stl", "has_result"),
                ("obj", "Surface", ".obj", "has_result"),
                ("json", "Report", ".json", "has_result"),
                ("csv", "Report", ".csv", "has_result"),
                ("probability", "Probability", ".nrrd", "has_result"),
                ("spread", "Spread", ".nrrd", "has_spread"),
            ):
                _file_button(f"'download/{what}'", label, ending, there)
            with vuetify.VMenu():
                with (
                    vuetify.Template(v_slot_activator="{ props }"),
                    vuetify.VBtn(v_bind="props", disabled=("attention_levels.length === 0",), classes="file"),
                ):
                    html.Span("Attention")
                    html.Span(".nrrd", classes="ending")
                with vuetify.VList(density="compact"):
                    vuetify.VListItem(
                        title=("'Gate ' + level",),
                        v_for="level in attention_levels",
                        key="level",
                        href=("'download/attention_' + level",),
                        **attributes(download=""),
                    )


# Without the attribute `download` a link leaves the page, and trame's client hangs up although it stays.
def _file_button(address: str, label: str, ending: str, there: str) -> None:
    with vuetify.VBtn(
        href=(address,), disabled=(f"!{there} || saving !== ''",), classes="file", **attributes(download="")
    ):
        html.Span(label)
        html.Span(ending, classes="ending")


def _slider(
    name: str, label: str, lowest: float, highest: float, step: float, shown: str, disabled: str = "!has_result"
) -> None:
    with html.Div(classes="slider"):
        html.Span(label, classes="label")
        vuetify.VSlider(
            v_model=(name,), min=lowest, max=highest, step=step, disabled=(disabled,), **attributes(aria_label=label)
        )
        html.Span(f"{{{{ {shown} }}}}", classes="value")
