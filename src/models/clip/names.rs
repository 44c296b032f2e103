//! What files call the weights of a text encoder.

use crate::models::{Form, Origin, Tensors};

/// How the weights are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// `text_model.encoder.layers.0.self_attn.q_proj.weight`
    HuggingFace,
    /// The same without `text_model.`
    Bare,
    /// The same behind `cond_stage_model.transformer.`: single files of SD 1.x, and stable-diffusion.cpp's GGUF files; XL's first.
    SingleFile,
    /// `cond_stage_model.transformer.text_model.…` of XL's first encoder, `cond_stage_model.1.transformer.text_model.…` of its second: XL's checkpoints as
    /// stable-diffusion.cpp turns them into GGUFs. The projection is as OpenCLIP has it.
    Converted,
    /// `cond_stage_model.model.transformer.resblocks.0.attn.in_proj_weight`: single files of SD 2.x; XL's second. Query, key and
    /// value are one tensor.
    OpenClip,
}

/// Which of a model's text encoders: each stands at a place of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Only,
    /// The first of Stable Diffusion XL's two.
    First,
    /// The second: weights of the folder `text_encoder_2` have its name before theirs ([`WeightFile`](crate::weights::WeightFile)).
    Second,
}

impl Place {
    /// Before the names of diffusers' folders.
    fn folder(self) -> &'static str {
        if self == Self::Second { "text_encoder_2." } else { "" }
    }

    /// Before those of single files.
    fn single(self) -> &'static str {
        match self {
            Self::Only => "cond_stage_model.",
            Self::First => "conditioner.embedders.0.",
            Self::Second => "conditioner.embedders.1.",
        }
    }

    /// Before those of stable-diffusion.cpp.
    fn converted(self) -> &'static str {
        if self == Self::Second { "cond_stage_model.1." } else { "cond_stage_model." }
    }
}

const EMBEDDING: &str = "embeddings.token_embedding.weight";
const PROJECTION: &str = "text_projection.weight";

impl Names {
    /// Those that `tensors` go by; `None` where there is no text encoder at `place`.
    pub fn of(tensors: &dyn Tensors, place: Place) -> Option<Self> {
        let weight = format!("text_model.{EMBEDDING}");
        [Self::HuggingFace, Self::Bare, Self::SingleFile, Self::OpenClip, Self::Converted]
            .into_iter()
            .find(|names| tensors.tensor(&names.origin(place, &weight).name).is_some())
    }

    /// Where a weight of the encoder at `place`, called as in `transformers`, stands in the file.
    pub fn origin(self, place: Place, weight: &str) -> Origin {
        let bare = weight.strip_prefix("text_model.").unwrap_or(weight);
        let (folder, single) = (place.folder(), place.single());
        match self {
            Self::HuggingFace => Origin::whole(format!("{folder}{weight}")),
            Self::Bare => Origin::whole(format!("{folder}{bare}")),
            Self::SingleFile => Origin::whole(format!("{single}transformer.text_model.{bare}")),
            Self::Converted => {
                let whole = |name: &str| Origin::whole(format!("{}transformer.text_model.{name}", place.converted()));
                match bare {
                    PROJECTION => Origin { form: Form::Transposed, ..whole("text_projection") },
                    _ => whole(bare),
                }
            }
            Self::OpenClip => open_clip(single, bare),
        }
    }
}

fn open_clip(single: &str, bare: &str) -> Origin {
    let whole = |name: String| Origin::whole(format!("{single}model.{name}"));
    match bare {
        EMBEDDING => return whole("token_embedding.weight".into()),
        "embeddings.position_embedding.weight" => return whole("positional_embedding".into()),
        // `[in, out]` there.
        PROJECTION => return Origin { form: Form::Transposed, ..whole("text_projection".into()) },
        _ => {}
    }
    if let Some(end) = bare.strip_prefix("final_layer_norm.") {
        return whole(format!("ln_final.{end}"));
    }
    let layer = bare.strip_prefix("encoder.layers.").and_then(|rest| rest.split_once('.'));
    let Some((number, place)) = layer else { return whole(bare.into()) };
    let (place, end) = place.rsplit_once('.').unwrap_or((place, ""));
    let (place, part) = match place {
        "self_attn.q_proj" => ("attn.in_proj_", Some(0)),
        "self_attn.k_proj" => ("attn.in_proj_", Some(1)),
        "self_attn.v_proj" => ("attn.in_proj_", Some(2)),
        "self_attn.out_proj" => ("attn.out_proj.", None),
        "layer_norm1" => ("ln_1.", None),
        "layer_norm2" => ("ln_2.", None),
        "mlp.fc1" => ("mlp.c_fc.", None),
        "mlp.fc2" => ("mlp.c_proj.", None),
        _ => return whole(bare.into()),
    };
    Origin {
        form: part.map_or(Form::Whole, |which| Form::Part { which }),
        ..whole(format!("transformer.resblocks.{number}.{place}{end}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layout_names_the_same_weight_in_its_way() {
        let key = "text_model.encoder.layers.7.self_attn.k_proj.bias";
        let single = "cond_stage_model.transformer.text_model.encoder.layers.7.self_attn.k_proj.bias";
        assert_eq!(Names::SingleFile.origin(Place::Only, key), Origin::same(single));
        let open = Names::OpenClip.origin(Place::Only, key);
        assert_eq!(open.name, "cond_stage_model.model.transformer.resblocks.7.attn.in_proj_bias");
        assert_eq!(open.form, Form::Part { which: 1 });
        for (ours, theirs) in [
            ("embeddings.token_embedding.weight", "token_embedding.weight"),
            ("embeddings.position_embedding.weight", "positional_embedding"),
            ("final_layer_norm.bias", "ln_final.bias"),
            ("encoder.layers.0.mlp.fc2.weight", "transformer.resblocks.0.mlp.c_proj.weight"),
            ("encoder.layers.11.self_attn.out_proj.weight", "transformer.resblocks.11.attn.out_proj.weight"),
        ] {
            let origin = Names::OpenClip.origin(Place::Only, &format!("text_model.{ours}"));
            assert_eq!(origin, Origin::same(&format!("cond_stage_model.model.{theirs}")));
        }
    }

    #[test]
    fn two_encoders_of_one_model_stand_at_two_places() {
        let key = "text_model.final_layer_norm.bias";
        for (names, place, there) in [
            (Names::HuggingFace, Place::First, key),
            (Names::Bare, Place::Second, "text_encoder_2.final_layer_norm.bias"),
            (Names::SingleFile, Place::First, "conditioner.embedders.0.transformer.text_model.final_layer_norm.bias"),
            (Names::OpenClip, Place::Second, "conditioner.embedders.1.model.ln_final.bias"),
            (Names::Converted, Place::First, "cond_stage_model.transformer.text_model.final_layer_norm.bias"),
            (Names::Converted, Place::Second, "cond_stage_model.1.transformer.text_model.final_layer_norm.bias"),
        ] {
            assert_eq!(names.origin(place, key), Origin::same(there));
        }
        for (names, there) in [
            (Names::OpenClip, "conditioner.embedders.1.model.text_projection"),
            (Names::Converted, "cond_stage_model.1.transformer.text_model.text_projection"),
        ] {
            let projection = names.origin(Place::Second, PROJECTION);
            assert_eq!((projection.name.as_str(), projection.form), (there, Form::Transposed));
        }
    }
}
