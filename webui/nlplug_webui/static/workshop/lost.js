// A call of a task's page that the server does not answer: the page would wait for it forever.
(() => {
  const { say, errorCard } = npw;
  const CALLS = /\/gradio_api\/(run|queue\/join)\b/;
  const fetched = window.fetch;
  const note = () => document.getElementById("np-lost");

  const tell = () => {
    nplug.failed();
    const card = document.getElementById("result");
    if (!card || note()) return;
    const told = errorCard(Object.assign(new Error(say("lost_server")), { hint: say("lost_server_hint") }));
    told.id = "np-lost";
    card.prepend(told);
  };

  // Gradio tells nobody that a call has failed.
  window.fetch = async (...call) => {
    if (!CALLS.test(call[0]?.url ?? call[0])) return fetched(...call);
    try {
      const reply = await fetched(...call);
      if (reply.status >= 500) tell();
      else note()?.remove();
      return reply;
    } catch (error) {
      if (error.name !== "AbortError") tell();
      throw error;
    }
  };
})();
