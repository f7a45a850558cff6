// What the page does by itself: choosing, dropping and sending a file.
(function () {
  "use strict";

  function set(name, value) {
    window.trame.state.set(name, value);
  }

  function isBusy() {
    const state = window.trame.state;
    return state.get("opening") !== "" || state.get("run") !== "" || state.get("upload_fraction") > 0;
  }

  function complain(title, text) {
    set("notices", [...window.trame.state.get("notices"), { id: -Date.now(), kind: "error", title, text }]);
  }

  function send(file) {
    if (isBusy()) {
      return;
    }
    const request = new XMLHttpRequest();
    request.open("POST", "upload?name=" + encodeURIComponent(file.name));
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) {
        set("upload_fraction", Math.max(0.001, event.loaded / event.total));
      }
    };
    request.onload = () => {
      set("upload_fraction", 0);
      if (request.status === 200) {
        return;
      }
      let answer = { message: "The file could not be sent.", hint: "" };
      try {
        answer = JSON.parse(request.responseText);
      } catch (error) {
        answer.hint = request.responseText.slice(0, 200);
      }
      complain(answer.message, answer.hint);
    };
    request.onerror = () => {
      set("upload_fraction", 0);
      complain("The file could not be sent.", "Is the server still running? Is the file too large?");
    };
    set("upload_fraction", 0.001);
    request.send(file);
  }

  const actions = {
    choose() {
      document.getElementById("ct-file").click();
    },
    chosen(event) {
      const file = event.target.files[0];
      event.target.value = "";
      if (file) {
        send(file);
      }
    },
  };

  window.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  window.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) {
      document.body.classList.remove("dropping");
    }
  });
  window.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    if (event.dataTransfer.files.length === 1) {
      send(event.dataTransfer.files[0]);
    } else {
      complain("One file at a time, please.", "A DICOM folder goes in as one .zip file.");
    }
  });
  window.attentionUNetSeg = actions;
})();
