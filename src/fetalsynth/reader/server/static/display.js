// Notes what the images will be shown on.
const ratio = Math.round(100 * (window.devicePixelRatio || 1)) / 100;
document.querySelector("input[name=screen]").value =
  `${window.screen.width}x${window.screen.height}@${ratio} ${window.screen.colorDepth}bit`;
