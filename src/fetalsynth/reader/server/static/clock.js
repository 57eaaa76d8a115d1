// Time since the image appeared: altogether, with the page hidden, and attended to. Attention ends
// half a minute after the last movement, touch or key.
const IDLE_SECONDS = 30;

export class Clock {
  constructor() {
    this.running = false;
    this.spent = { active: 0, total: 0, hidden: 0 };
    this.lastInput = performance.now();
    this.last = performance.now();
    this.wasHidden = document.hidden;
    for (const event of ["pointerdown", "pointermove", "keydown", "wheel", "touchstart"]) {
      window.addEventListener(event, () => { this.count(); this.lastInput = performance.now(); }, { passive: true });
    }
    document.addEventListener("visibilitychange", () => {
      this.count();
      this.wasHidden = document.hidden;
      if (!document.hidden) this.lastInput = performance.now();
    });
    setInterval(() => this.count(), 1000);
  }

  start(spent) {
    this.count();
    this.spent = { active: 0, total: 0, hidden: 0, ...(spent || {}) };
    this.last = this.lastInput = performance.now();
    this.wasHidden = document.hidden;
    this.running = true;
  }

  stop() {
    this.count();
    this.running = false;
  }

  count() {
    const now = performance.now();
    if (this.running) {
      const passed = (now - this.last) / 1000;
      const attendedUntil = this.lastInput + 1000 * IDLE_SECONDS;
      this.spent.total += passed;
      if (this.wasHidden) this.spent.hidden += passed;
      else this.spent.active += Math.max(0, Math.min(now, attendedUntil) - this.last) / 1000;
    }
    this.last = now;
  }

  seconds() {
    this.count();
    const round = (value) => Math.round(value * 1000) / 1000;
    return { active: round(this.spent.active), total: round(this.spent.total), hidden: round(this.spent.hidden) };
  }
}
