const report = async what => (await fetch("/report", {method: "POST", body: JSON.stringify(what)})).text();

// The loudest frequency of what is heard, in Hz, and its level in dB of the analyser.
function loudest(analyser) {
    const bins = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(bins);
    const at = bins.reduce((best, level, i) => level > bins[best] ? i : best, 1);
    return {hz: at * analyser.context.sampleRate / analyser.fftSize, db: bins[at]};
}

// How media gets here and there, by the browser's own account.
async function transport(pc) {
    const stats = [...(await pc.getStats()).values()];
    const way = stats.find(s => s.type === "transport") || {};
    const received = stats.find(s => s.type === "inbound-rtp") || {};
    return {dtls: way.tlsVersion, srtp: way.srtpCipher, cipher: way.dtlsCipher, ice: pc.iceConnectionState,
            received: received.packetsReceived, lost: received.packetsLost};
}

// What is said here, as it is.
const microphone = () => navigator.mediaDevices.getUserMedia({
    audio: {echoCancellation: false, autoGainControl: false, noiseSuppression: false}
});

// Plays what comes over a connection; gives what knows its frequencies.
function listen(pc) {
    const context = new AudioContext();
    const analyser = new AnalyserNode(context, {fftSize: 8192, smoothingTimeConstant: 0});
    pc.addEventListener("track", event => {
        // Without an element that plays it, nothing of the track is decoded.
        document.getElementById("far").srcObject = event.streams[0] || new MediaStream([event.track]);
        context.createMediaStreamSource(new MediaStream([event.track])).connect(analyser);
    });
    return analyser;
}
