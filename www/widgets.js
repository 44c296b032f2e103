/**
 * Widgets for course notes: `<vitrine-text>` writes, `<vitrine-image>` paints, `<vitrine-latent>` walks through a latent. All widgets of a page share its one engine and one copy of each
 * model; each loads its model when it comes near the screen, and frees everything when it leaves the page. Importing this on a server does
 * nothing.
 */

import { VitrineImage } from "./widgets/image.js";
import { VitrineLatent } from "./widgets/latent.js";
import { VitrineText } from "./widgets/text.js";

export { Widget } from "./widgets/widget.js";
export { VitrineImage, VitrineLatent, VitrineText };

VitrineText.define("vitrine-text");
VitrineImage.define("vitrine-image");
VitrineLatent.define("vitrine-latent");
