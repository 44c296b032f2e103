//! Asks the browser for subgroups, which wgpu 30.0.1 does not do: its map of features leaves them out.
//!
//! The only JavaScript of this room. It wraps `GPUAdapter.prototype.requestDevice` once a realm so that a device is asked
//! for with `"subgroups"` where the adapter offers them, and says whether the adapter seen last did.

use wasm_bindgen::prelude::*;

#[wasm_bindgen(inline_js = "
let offered = false;
export function ask_for_subgroups() {
    const prototype = globalThis.GPUAdapter?.prototype;
    if (!prototype || prototype.requestDevice.asksForSubgroups) return;
    const original = prototype.requestDevice;
    prototype.requestDevice = function (descriptor = {}) {
        offered = this.features.has('subgroups');
        if (offered) {
            const features = Array.from(descriptor.requiredFeatures ?? []);
            if (!features.includes('subgroups')) features.push('subgroups');
            descriptor.requiredFeatures = features;
        }
        return original.call(this, descriptor);
    };
    prototype.requestDevice.asksForSubgroups = true;
}
export function subgroups_were_offered() { return offered; }
")]
extern "C" {
    /// Puts the wrapper in place; a second call does nothing.
    pub fn ask_for_subgroups();
    /// Whether the adapter whose device was asked for last offered subgroups: then its device has them.
    pub fn subgroups_were_offered() -> bool;
}
