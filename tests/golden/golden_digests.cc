// Trains on generated data and prints a digest a case, of the model and of the scores of its rows;
// or holds them against a file. What any CPU, compiler, build type, number of threads or size of
// blocks prints must be the same.
//
//   golden_digests --check tests/golden/digests.txt        exit 1 where they differ
//   golden_digests --threads 8 --block-rows 100 > mine.txt
// SPDX-License-Identifier: Apache-2.0
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "evergrove/base/check.h"
#include "evergrove/base/sha256.h"
#include "evergrove/exact/simd.h"
#include "evergrove/score/scorer.h"
#include "evergrove/train/trainer.h"
#include "golden_data.h"

namespace evergrove::golden {
namespace {

struct Options {
  int threads = 2;
  size_t block_rows = 4096;
  std::string check;
};

[[noreturn]] void stop(const std::string& sentence) {
  std::fprintf(stderr, "golden_digests: %s\n", sentence.c_str());
  std::exit(2);
}

template <typename T>
T must(Result<T> result) {
  if (!result.ok()) stop(result.status().message());
  return std::move(result).value();
}

// The SHA-256 of the margins and probabilities of all rows.
std::string score_digest(const model::Model& model, const table::RowSource& source) {
  std::vector<size_t> columns;
  for (const model::Feature& feature : model.features) {
    columns.push_back(source.schema().find(feature.name).value());
  }
  const score::Scorer scorer(model);
  Sha256 of_margins;
  Sha256 of_scores;
  for (size_t index = 0; index < source.blocks().size(); ++index) {
    const table::RowBlock block = must(source.read(index, columns));
    std::vector<int64_t> margins(block.row_count * model.output_count());
    scorer.margins(block, margins);
    std::vector<double> scores(margins.size());
    score::probabilities(model, margins, scores);
    of_margins.update(margins.data(), margins.size() * sizeof margins[0]);
    of_scores.update(scores.data(), scores.size() * sizeof scores[0]);
  }
  return sha256_hex(of_margins.hex() + of_scores.hex());
}

std::string line_of(const Case& one, const Options& options) {
  train::DataSpec spec;
  spec.data = rows_of(one, options.block_rows);
  spec.label = "label";
  spec.weight = one.weight;
  spec.valid_fraction = one.valid_fraction;
  spec.objective_is_chosen = true;
  train::PreparedData prepared = must(train::prepare(spec, one.parameters, nullptr, {}));
  const auto trainer =
      must(train::Trainer::create(std::move(prepared.header), std::move(prepared.data)));
  while (!trainer->finished()) must(trainer->next());
  const model::Model model = trainer->model();
  return one.name + ": " + model::digest(model) + " " + score_digest(model, *spec.data);
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    if (name == "--threads") {
      options.threads = std::atoi(argv[i + 1]);
    } else if (name == "--block-rows") {
      options.block_rows = static_cast<size_t>(std::atol(argv[i + 1]));
    } else if (name == "--check") {
      options.check = argv[i + 1];
    } else {
      stop("there is no option " + name);
    }
  }
  if (argc % 2 == 0 || options.threads < 1 || options.block_rows < 1) {
    stop("[--threads N] [--block-rows N] [--check FILE]");
  }
  return options;
}

int run(const Options& options) {
  std::vector<std::string> golden;
  if (!options.check.empty()) {
    std::ifstream file(options.check);
    for (std::string line; std::getline(file, line);) golden.push_back(line);
    if (golden.size() != cases().size()) stop("the golden file has not a line a case");
  }
  size_t failed = 0;
  size_t index = 0;
  for (const Case& one : cases()) {
    const std::string line = line_of(one, options);
    std::printf("%s\n", line.c_str());
    if (!golden.empty() && golden[index] != line) {
      std::printf("  expected: %s\n", golden[index].c_str());
      ++failed;
    }
    ++index;
  }
  std::printf("# %s, %d threads, blocks of %zu rows\n", std::string(exact::simd_name()).c_str(),
              options.threads, options.block_rows);
  if (!golden.empty()) std::printf("%zu passed, %zu failed\n", index - failed, failed);
  return failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace evergrove::golden

int main(int argc, char** argv) {
  namespace golden = evergrove::golden;
  if (const evergrove::Status status = evergrove::exact::select_simd(); !status.ok()) {
    golden::stop(status.message());
  }
  const golden::Options options = golden::parse(argc, argv);
  const tbb::global_control control(tbb::global_control::max_allowed_parallelism,
                                    static_cast<size_t>(options.threads));
  tbb::task_arena arena(options.threads);
  return arena.execute([&] { return golden::run(options); });
}
