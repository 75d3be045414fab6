"""The files of the sample: what computes their metrics, and the metrics of each, in order."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SAMPLE = Path(__file__).parent / "sample"  # the files as users write them
PAPERS = "papers"  # in place of a library: the formula is written out


@dataclass(frozen=True)
class Source:
    """A file of metrics.

    Args:
        stem: of the file's name.
        library: the distribution that computes them, or "papers".
        package: what is imported of it; "" for papers.
        functions: by task, in order, with spaces between.
    """

    stem: str
    library: str
    package: str
    functions: Mapping[str, str]

    @property
    def file(self) -> Path:
        """Where they are declared."""
        return SAMPLE / f"{self.stem}.py"

    @property
    def is_installed(self) -> bool:
        """Whether its library is there."""
        return not self.package or importlib.util.find_spec(self.package) is not None


SOURCES = (
    Source("with_fairlearn", "fairlearn", "fairlearn", {
        "classification": "gap_between_recalls",
        "scores": "equalized_odds_gap_between_labels parity_gap_by_first_label",
        "values": "error_of_worst_quarter",
    }),
    Source("with_hmeasure", "hmeasure", "hmeasure", {"scores": "h_measure"}),
    Source("with_hydroerr", "HydroErr", "HydroErr", {
        "values": "kling_gupta_efficiency refined_index_of_agreement spectral_angle",
    }),
    Source("with_ignite", "pytorch-ignite", "ignite", {
        "values": "canberra_distance absolute_fractional_bias geometric_relative_error independence_criterion "
            "mean_discrepancy",
    }),
    Source("with_imblearn", "imbalanced-learn", "imblearn", {
        "classification": "geometric_mean_of_recalls",
        "scores": "weaker_of_sensitivity_and_specificity",
    }),
    Source("with_jiwer", "jiwer", "jiwer", {
        "sequence": "word_information_lost deletion_rate sentences_with_two_errors",
        "span": "answer_word_error",
    }),
    Source("with_krippendorff", "krippendorff", "krippendorff", {
        "classification": "ordinal_alpha",
        "values": "interval_alpha",
    }),
    Source("with_mir_eval", "mir_eval", "mir_eval", {"sequence": "segment_boundaries_f1"}),
    Source("with_monai", "monai", "monai", {"segmentation": "hausdorff_95 surface_dice generalized_dice"}),
    Source("with_nervaluate", "nervaluate", "nervaluate", {"span": "partial_match_f1 overlap_recall"}),
    Source("with_nltk", "nltk", "nltk", {"sequence": "ribes lepor nist_of_bigrams"}),
    Source("with_permetrics", "permetrics", "permetrics", {"values": "within_a_fifth changes_in_the_same_direction"}),
    Source("with_pycm", "pycm", "pycm", {"classification": "bangdiwala_b"}),
    Source("with_pytrec_eval", "pytrec_eval-terrier", "pytrec_eval", {
        "ranking": "bpref precision_at_half_recall average_precision_of_high_grades geometric_mean_average_precision",
    }),
    Source("with_rapidfuzz", "rapidfuzz", "rapidfuzz", {
        "sequence": "jaro_winkler right_prefix token_set_ratio",
        "span": "anls",
    }),
    Source("with_sacrebleu", "sacrebleu", "sacrebleu", {"sequence": "translation_edit_rate"}),
    Source("with_scipy", "scipy", "scipy", {
        "ranking": "weighted_tau",
        "scores": "kolmogorov_smirnov",
        "values": "earth_movers_distance cosine_distance",
        "heatmap": "error_after_alignment hausdorff_of_keypoints",
    }),
    Source("with_scoringrules", "scoringrules", "scoringrules", {
        "values": "upper_quantile_loss",
        "classification": "ranked_probability_score",
        "scores": "brier_skill_score",
    }),
    Source("with_seqeval", "seqeval", "seqeval", {"sequence": "entity_f1 macro_f1_of_runs"}),
    Source("with_shapely", "shapely", "shapely", {"detection": "covered_area", "heatmap": "hull_overlap"}),
    Source("with_skimage", "scikit-image", "skimage", {
        "segmentation": "rand_error information_variation centreline_dice structure_of_foreground",
    }),
    Source("with_sksurv", "scikit-survival", "sksurv", {"values": "censored_concordance"}),
    Source("with_sktime", "sktime", "sktime", {"values": "asymmetric_error linex_error geometric_absolute_error"}),
    Source("with_surface_distance", "surface-distance", "surface_distance", {
        "segmentation": "mean_surface_distance surface_recall",
    }),
    Source("with_torcheval", "torcheval", "torcheval", {
        "classification": "macro_auprc",
        "scores": "recall_at_half_precision normalized_entropy log_calibration_ratio",
        "ranking": "precision_at_5_of_short_lists",
    }),
    Source("papers_classification", PAPERS, "", {
        "classification": "area_under_risk_coverage adaptive_calibration_error spherical_score "
            "adjusted_mean_rank_index entropy_modulated_accuracy confusion_entropy quantification_error "
            "macro_ordinal_error cost_of_distant_classes worst_fifth_of_recalls",
    }),
    Source("papers_detection", PAPERS, "", {
        "detection": "f1_of_sure_detections localization_recall_precision counting_error froc log_average_miss_rate "
            "ospa pointing_game recall_of_small_objects eleven_point_precision duplicates_per_object "
            "detection_accuracy class_of_nearest_detection",
    }),
    Source("papers_heatmap", PAPERS, "", {
        "heatmap": "area_under_pck failure_rate correct_parts limb_direction_error limb_length_error worst_keypoint "
            "swapped_keypoints precision_of_surest_keypoints centre_error",
    }),
    Source("papers_labels", PAPERS, "", {
        "scores": "one_error label_ranking_precision propensity_scored_precision auc_of_worst_label coverage_depth "
            "label_cardinality_error",
    }),
    Source("papers_ranking", PAPERS, "", {
        "ranking": "expected_reciprocal_rank rank_biased_precision graded_average_precision q_measure "
            "rank_correlation_of_precision group_auc expected_search_length depth_of_last_relevant "
            "winner_takes_all gain_lost_in_top_ten",
    }),
    Source("papers_scores", PAPERS, "", {
        "scores": "partial_auc early_recognition net_benefit discrimination_coefficient p4 minimum_detection_cost "
            "f1_at_best_threshold false_positives_at_95_recall lift_of_top_decile",
    }),
    Source("papers_segmentation", PAPERS, "", {
        "segmentation": "volumetric_similarity lesion_f1 boundary_iou topology_error enhanced_alignment "
            "frequency_weighted_iou iou_of_worst_class saliency_error centroid_shift",
    }),
    Source("papers_sequence", PAPERS, "", {
        "sequence": "cider skip_bigrams segmental_f1 repetition_gap hallucinated_tokens length_error matching_blocks",
    }),
    Source("papers_span", PAPERS, "", {
        "span": "recall_at_half_overlap discounted_recall generalized_overlap bounds_within_two cost_of_late_ends "
            "containment jaccard_of_words",
    }),
    Source("papers_values", PAPERS, "", {
        "values": "circular_error top_tenth_found expected_shortfall distance_correlation limits_of_agreement "
            "within_quarter_deviation",
    }),
)  # fmt: skip
