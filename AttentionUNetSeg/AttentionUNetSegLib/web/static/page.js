// What the page does by itself: choosing, dropping and sending files.
(function () {
  "use strict";

  let sending = null;
  let segmentationPurpose = "mask";

  function set(name, value) {
    window.trame.state.set(name, value);
  }

  function isBusy() {
    const state = window.trame.state;
    return state.get("opening") !== "" || state.get("run") !== "" || state.get("upload_fraction") > 0;
  }

  function complain(title, text) {
    set("notices", [...window.trame.state.get("notices"), { id: -Date.now(), kind: "error", title, text }].slice(-3));
  }

  // files: [{ file, path }]; one file goes as it is, several as the parts of a form.
  function send(files, name) {
    if (isBusy()) {
      const what = window.trame.state.get("run") !== "" ? "the segmentation" : "what is being opened";
      complain(`${name} was not opened.`, `Wait for ${what} to end, or cancel it, and send it again.`);
      return;
    }
    if (files.length === 0) {
      complain("The folder is empty.", "Choose one with the images of a CT.");
      return;
    }
    const isOne = files.length === 1 && files[0].path === files[0].file.name && !/\.(dcm|mhd)$/i.test(files[0].path);
    const address = "upload?name=" + encodeURIComponent(isOne ? files[0].file.name : name);
    if (isOne) {
      post(address, files[0].file);
      return;
    }
    const form = new FormData();
    for (const { file, path } of files) {
      form.append("file", file, path);
    }
    post(address, form);
  }

  function post(address, body) {
    const request = new XMLHttpRequest();
    sending = request;
    request.open("POST", address);
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
    const end = () => set("upload_fraction", 0);
    request.onabort = end;
    request.onerror = () => {
      set("upload_fraction", 0);
      complain("The file could not be sent.", "Is the server still running? Is the file too large?");
    };
    set("upload_fraction", 0.001);
    settled().then(() => (sending === request ? request.send(body) : end()));
  }

  // What was done before has come about. Files go beside the connection that tells of it: they must not overtake that.
  function settled() {
    return window.trame.trigger("settled").catch(() => null);
  }

  window.addEventListener("click", async (event) => {
    const link = event.target.closest?.("a[href^='download/']");
    if (link && !link.dataset.settled) {
      event.preventDefault();
      const settledLink = document.createElement("a");
      settledLink.href = link.href;
      settledLink.download = "";
      settledLink.dataset.settled = "yes";
      await settled();
      document.body.append(settledLink);
      settledLink.click();
      settledLink.remove();
    }
  });

  // All files below a dropped file or folder.
  async function filesBelow(entry) {
    if (entry.isFile) {
      const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
      return [{ file, path: entry.fullPath.replace(/^\//, "") }];
    }
    const reader = entry.createReader();
    const found = [];
    for (;;) {
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (some.length === 0) {
        return found;
      }
      for (const each of some) {
        found.push(...(await filesBelow(each)));
      }
    }
  }

  const actions = {
    choose() {
      document.getElementById("ct-file").click();
    },
    chooseFolder() {
      document.getElementById("ct-folder").click();
    },
    chosen(event) {
      const files = [...event.target.files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
      event.target.value = "";
      if (files.length > 0) {
        send(files, files[0].path.split("/")[0]);
      }
    },
    chooseSegmentation(purpose) {
      segmentationPurpose = purpose;
      document.getElementById("segmentation-file").click();
    },
    chosenSegmentation(event) {
      const [file] = event.target.files;
      event.target.value = "";
      if (file && !isBusy()) {
        post(`upload?name=${encodeURIComponent(file.name)}&as=${segmentationPurpose}`, file);
      }
    },
    stopSending() {
      sending?.abort();
      sending = null;
      set("upload_fraction", 0); // it may be another tab's, which is gone
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
  window.addEventListener("drop", async (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
    if (entries.length === 0) {
      complain("What was dropped is no file.", "Drop a file, a DICOM folder or a .zip of one.");
      return;
    }
    try {
      const files = (await Promise.all(entries.map(filesBelow))).flat();
      send(files, entries[0].name);
    } catch (error) {
      complain("What was dropped cannot be read.", String(error.message || error));
    }
  });

  window.attentionUNetSeg = actions;
})();
