// Parameters: names, aliases, translations, ranges, JSON, and the reference page.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/parameters.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "evergrove/base/hash.h"
#include "evergrove/train/edit_distance.h"
#include "evergrove/train/parameter_docs.h"

namespace evergrove::train {
namespace {

using model::ObjectiveKind;

// Sets one parameter and expects it to be taken.
Parameters with(std::string_view name, std::string_view value) {
  Parameters parameters;
  const Status status = set_parameter(parameters, name, value);
  EXPECT_TRUE(status.ok()) << name << "=" << value << ": " << status.message();
  return parameters;
}

std::string refusal(std::string_view name, std::string_view value) {
  Parameters parameters;
  const Status status = set_parameter(parameters, name, value);
  EXPECT_EQ(status.kind(), StatusKind::invalid_input) << name << "=" << value;
  EXPECT_EQ(first_difference(parameters, Parameters()), "") << "a refused value was set";
  return status.message();
}

TEST(Parameters, HaveTheNamesThatUsersScriptsRelyOn) {
  std::set<std::string_view> names;
  for (const ParameterInfo& info : parameter_table()) names.insert(info.name);
  for (std::string_view name : {"n_estimators",
                                "learning_rate",
                                "growth",
                                "max_leaves",
                                "max_depth",
                                "max_bins",
                                "min_rows",
                                "min_hessian",
                                "min_gain",
                                "lambda_l1",
                                "lambda_l2",
                                "subsample",
                                "colsample_bytree",
                                "colsample_bylevel",
                                "colsample_bynode",
                                "scale_pos_weight",
                                "base_score",
                                "early_stopping_rounds",
                                "seed",
                                "objective",
                                "metrics"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
}

TEST(Parameters, EachNameAndAliasMeansOneParameter) {
  std::set<std::string_view> names;
  for (const ParameterInfo& info : parameter_table()) {
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
    EXPECT_FALSE(info.documentation.empty()) << info.name;
    for (std::string_view alias : info.aliases) EXPECT_TRUE(names.insert(alias).second) << alias;
  }
}

TEST(Parameters, TakesOtherLibrariesNamesAndSaysSo) {
  Parameters parameters;
  std::vector<std::string> notes;
  ASSERT_TRUE(set_parameter(parameters, "num_leaves", "63", &notes).ok());
  ASSERT_TRUE(set_parameter(parameters, "max_leaves", "64", &notes).ok());
  EXPECT_EQ(parameters.max_leaves, 64);
  EXPECT_EQ(notes, std::vector<std::string>{"num_leaves is called max_leaves here"});

  EXPECT_EQ(with("max_iter", "7").n_estimators, 7);
  EXPECT_EQ(with("num-boost-round", "7").n_estimators, 7);
  EXPECT_EQ(with("iterations", "7").n_estimators, 7);
  EXPECT_EQ(with("max_leaf_nodes", "7").max_leaves, 7);
  EXPECT_EQ(with("min_samples_leaf", "7").min_rows, 7);
  EXPECT_EQ(with("min_data_in_leaf", "7").min_rows, 7);
  EXPECT_EQ(with("min_child_samples", "7").min_rows, 7);
  EXPECT_EQ(with("l2_regularization", "0.5").lambda_l2, 0.5);
  EXPECT_EQ(with("reg_alpha", "0.5").lambda_l1, 0.5);
  EXPECT_EQ(with("reg_lambda", "0.5").lambda_l2, 0.5);
  EXPECT_EQ(with("l2_leaf_reg", "0.5").lambda_l2, 0.5);
  EXPECT_EQ(with("bagging_fraction", "0.5").subsample, 0.5);
  EXPECT_EQ(with("feature_fraction", "0.5").colsample_bytree, 0.5);
  EXPECT_EQ(with("feature_fraction_bynode", "0.5").colsample_bynode, 0.5);
  EXPECT_EQ(with("rsm", "0.5").colsample_bylevel, 0.5);
  EXPECT_EQ(with("min_child_weight", "0.5").min_hessian, 0.5);
  EXPECT_EQ(with("min_sum_hessian_in_leaf", "0.5").min_hessian, 0.5);
  EXPECT_EQ(with("eta", "0.5").learning_rate, 0.5);
  EXPECT_EQ(with("shrinkage_rate", "0.5").learning_rate, 0.5);
  EXPECT_EQ(with("max_bin", "63").max_bins, 63);
  EXPECT_EQ(with("depth", "5").max_depth, 5);
  EXPECT_EQ(with("early_stopping_round", "5").early_stopping_rounds, 5);
  EXPECT_EQ(with("n_iter_no_change", "5").early_stopping_rounds, 5);
  EXPECT_EQ(with("random_state", "5").seed, 5u);
}

TEST(Parameters, TranslatesValuesThatMeanTheSameElsewhere) {
  std::vector<std::string> notes;
  Parameters parameters;
  parameters.max_depth = 3;
  ASSERT_TRUE(set_parameter(parameters, "max_depth", "-1", &notes).ok());
  EXPECT_EQ(parameters.max_depth, 0);
  EXPECT_EQ(notes, std::vector<std::string>{"max_depth=-1 is max_depth=0 here"});
  EXPECT_EQ(with("max_depth", "None").max_depth, 0);
  EXPECT_EQ(with("max_leaf_nodes", "None").max_leaves, 131072);
  EXPECT_EQ(with("max_leaves", "0").max_leaves, 131072);
  EXPECT_EQ(with("grow_policy", "lossguide").growth, Growth::leaf);
  EXPECT_EQ(with("grow_policy", "depthwise").growth, Growth::depth);
  EXPECT_EQ(with("grow_policy", "SymmetricTree").growth, Growth::symmetric);
  EXPECT_EQ(with("gamma", "3").min_gain, 1.5);
  EXPECT_EQ(with("min_gain_to_split", "3").min_gain, 1.5);
  EXPECT_EQ(with("min_gain", "3").min_gain, 3);
  EXPECT_EQ(with("border_count", "254").max_bins, 255);
  EXPECT_EQ(with("random_state", "None").seed, 0u);
  EXPECT_EQ(with("objective", "binary:logistic").objective, ObjectiveKind::binary);
  EXPECT_EQ(with("objective", "multi:softprob").objective, ObjectiveKind::multiclass);
  EXPECT_EQ(with("loss_function", "MultiClass").objective, ObjectiveKind::multiclass);
  EXPECT_EQ(with("objective", "reg:squarederror").objective, ObjectiveKind::regression);
  EXPECT_EQ(with("objective", "l2").objective, ObjectiveKind::regression);
  const std::vector<std::string> metrics = {"log_loss", "average_precision"};
  EXPECT_EQ(with("eval_metric", "logloss, aucpr").metrics, metrics);
  EXPECT_EQ(with("metric", "['logloss', \"average_precision\"]").metrics, metrics);
}

TEST(Parameters, ReadsNumbersAsPeopleWriteThem) {
  EXPECT_EQ(with("n_estimators", "1e3").n_estimators, 1000);
  EXPECT_EQ(with("n_estimators", " 100.0 ").n_estimators, 100);
  EXPECT_EQ(with("learning_rate", "1").learning_rate, 1);
  EXPECT_EQ(with("seed", "18446744073709551615").seed, ~uint64_t{0});
  EXPECT_EQ(with("base_score", "0.25").base_score, 0.25);
  EXPECT_TRUE(std::isnan(with("base_score", "auto").base_score));
  EXPECT_TRUE(std::isnan(with("base_score", "None").base_score));
}

TEST(Parameters, RefusesBadValuesAndSaysTheRange) {
  EXPECT_EQ(refusal("max_leaves", "1"),
            "Parameter max_leaves must be 2 to 131,072; change its value (value: 1)");
  EXPECT_NE(refusal("learning_rate", "0").find("more than 0"), std::string::npos);
  for (std::string_view value : {"nan", "inf", "-inf", "abc", "", "1x", "0x10", "1e999", "1,5"}) {
    for (std::string_view name : {"learning_rate", "max_leaves", "lambda_l2", "n_estimators"}) {
      refusal(name, value);
    }
  }
  refusal("n_estimators", "1.5");
  refusal("n_estimators", "0");
  refusal("n_estimators", "1e300");
  refusal("max_bins", "1");
  refusal("max_bins", "65536");
  refusal("subsample", "0");
  refusal("subsample", "1.001");
  refusal("lambda_l1", "-0.1");
  refusal("seed", "-1");
  refusal("seed", "18446744073709551616");
  refusal("growth", "upwards");
  refusal("base_score", "inf");
  refusal("early_stopping_rounds", "-1");
}

TEST(Parameters, SuggestsTheNearestName) {
  EXPECT_NE(refusal("max_leavs", "7").find("did you mean max_leaves?"), std::string::npos);
  EXPECT_NE(refusal("n_estimator", "7").find("did you mean n_estimators?"), std::string::npos);
  EXPECT_NE(refusal("num_leafes", "7").find("did you mean max_leaves?"), std::string::npos);
  EXPECT_NE(refusal("n_jobs", "7").find("--threads"), std::string::npos);
  refusal("", "7");
  refusal(std::string(100000, 'x'), "7");
}

TEST(EditDistance, CountsInsertedDeletedChangedAndSwappedLetters) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("abc", ""), 3u);
  EXPECT_EQ(edit_distance("abc", "abd"), 1u);
  EXPECT_EQ(edit_distance("abc", "acb"), 1u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
}

TEST(Parameters, DefaultsAreValid) { EXPECT_TRUE(validate(Parameters()).ok()); }

TEST(Parameters, RefusesWhatDoesNotGoTogether) {
  const auto refused = [](auto change) {
    Parameters parameters;
    change(parameters);
    return !validate(parameters).ok();
  };
  const double nan = std::nan("");
  EXPECT_TRUE(refused([&](Parameters& p) { p.learning_rate = nan; }));
  EXPECT_TRUE(refused([&](Parameters& p) { p.lambda_l2 = nan; }));
  EXPECT_TRUE(refused([](Parameters& p) { p.max_leaves = 1; }));
  EXPECT_TRUE(refused([](Parameters& p) { p.base_score = 1; }));
  EXPECT_TRUE(refused([](Parameters& p) { p.metrics = {"rmsle"}; }));
  EXPECT_TRUE(refused([](Parameters& p) { p.metrics = {"auc", "auc"}; }));
  EXPECT_TRUE(refused([](Parameters& p) { p.metrics = {"precision_at_0"}; }));
  EXPECT_TRUE(refused([](Parameters& p) { p.metrics = {"precision_at_K"}; }));
  EXPECT_FALSE(refused([](Parameters& p) { p.metrics = {"precision_at_100", "auc"}; }));
  EXPECT_TRUE(refused([](Parameters& p) {
    p.objective = ObjectiveKind::regression;
    p.metrics = {"auc"};
  }));
  EXPECT_TRUE(refused([](Parameters& p) {
    p.objective = ObjectiveKind::regression;
    p.scale_pos_weight = 2;
  }));
  EXPECT_TRUE(refused([](Parameters& p) {
    p.objective = ObjectiveKind::multiclass;
    p.base_score = 0.5;
  }));
  EXPECT_TRUE(refused([](Parameters& p) {
    p.growth = Growth::symmetric;
    p.max_depth = 17;
  }));
  EXPECT_FALSE(refused([](Parameters& p) {
    p.objective = ObjectiveKind::regression;
    p.base_score = -1e6;
  }));
}

// Any doubles, with all their bits.
Parameters random_parameters(uint64_t seed) {
  const RandomKey key(seed, "parameters");
  const auto unit = [&](uint64_t i) {
    return (static_cast<double>(key.at(i) >> 11) + 1) * 0x1p-53;
  };
  Parameters p;
  p.objective = static_cast<ObjectiveKind>(key.at(0) % 3);
  p.growth = static_cast<Growth>(key.at(1) % 3);
  p.n_estimators = static_cast<int64_t>(key.at(2) % 1000000) + 1;
  p.learning_rate = unit(3);
  p.lambda_l1 = std::ldexp(unit(4), -static_cast<int>(key.at(5) % 1000));
  p.lambda_l2 = std::ldexp(unit(6), static_cast<int>(key.at(7) % 59));
  p.subsample = unit(8);
  p.base_score = key.at(9) % 2 ? std::nan("") : unit(10);
  p.seed = key.at(11);
  if (key.at(12) % 2) p.metrics = {"auc", "a \"b\" \\ \n\x01 \xc3\xa9"};
  return p;
}

TEST(ParametersJson, ComesBackToTheBit) {
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    const Parameters before = random_parameters(seed);
    const auto after = from_json(to_json(before));
    ASSERT_TRUE(after.ok()) << after.status().message() << "\n" << to_json(before);
    ASSERT_EQ(to_json(*after), to_json(before));
    ASSERT_EQ(std::bit_cast<uint64_t>(after->learning_rate),
              std::bit_cast<uint64_t>(before.learning_rate));
    ASSERT_EQ(after->lambda_l1, before.lambda_l1);
    ASSERT_EQ(after->seed, before.seed);
    ASSERT_EQ(after->metrics, before.metrics);
    ASSERT_EQ(std::isnan(after->base_score), std::isnan(before.base_score));
  }
}

TEST(ParametersJson, WritesUnsetAsNull) {
  EXPECT_NE(to_json(Parameters()).find("\"base_score\": null"), std::string::npos);
  EXPECT_NE(to_json(Parameters()).find("\"growth\": \"leaf\""), std::string::npos);
}

TEST(ParametersJson, RefusesWhatIsNotAFlatObject) {
  for (std::string_view json :
       {"", "{", "[]", "{\"seed\": }", "{\"seed\": 1", "{\"seed\": 1,}", "{\"seed\": {}}",
        "{\"seed\": 1} x", "{\"metrics\": \"auc\"}", "{\"metrics\": [1]}", "{\"seed\": \"a",
        "{\"seed\": 1, \"seed\": 2}", "{\"no_such\": 1}", "{\"max_leaves\": 1}",
        "{\"metrics\": [\"\\u0"}) {
    EXPECT_FALSE(from_json(json).ok()) << json;
  }
  EXPECT_TRUE(from_json(" { } ").ok());
  EXPECT_EQ(from_json("{\"no_such\": 1}").status().kind(), StatusKind::unsupported);
}

TEST(ParametersJson, RandomBytesNeverCrash) {
  const std::string whole = to_json(Parameters());
  const RandomKey key(3, "mutations");
  for (uint64_t i = 0; i < 20000; ++i) {
    std::string json = whole.substr(0, key.at(3 * i) % (whole.size() + 1));
    if (!json.empty()) json[key.at(3 * i + 1) % json.size()] = static_cast<char>(key.at(3 * i + 2));
    (void)from_json(json);
  }
}

TEST(FirstDifference, LetsOnlyTheNumberOfIterationsDiffer) {
  Parameters a;
  Parameters b;
  b.n_estimators = 7;
  b.early_stopping_rounds = 3;
  EXPECT_EQ(first_difference(a, b), "");
  b.seed = 1;
  EXPECT_EQ(first_difference(a, b), "seed");
  b.lambda_l1 = 1e-300;
  EXPECT_EQ(first_difference(a, b), "lambda_l1");
  a.base_score = 0.5;
  b.lambda_l1 = 0;
  EXPECT_EQ(first_difference(a, b), "base_score");
}

// Goal: the page is what the table says. EVERGROVE_UPDATE_DOCS=1 writes it.
TEST(ParameterDocs, PageIsWhatTheTableSays) {
  const std::string path = "docs/reference/parameters.md";
  if (std::getenv("EVERGROVE_UPDATE_DOCS") != nullptr) {
    std::ofstream(path) << parameter_docs_markdown();
  }
  std::ifstream file(path);
  if (!std::ifstream("CMakeLists.txt")) GTEST_SKIP() << "not run in the repository's root";
  ASSERT_TRUE(file.is_open()) << path;
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), parameter_docs_markdown())
      << "run with EVERGROVE_UPDATE_DOCS=1 to write it anew";
}

}  // namespace
}  // namespace evergrove::train
