// Shards from the cache are those from the source; whatever is wrong with a file or the folder, a
// run gets the right rows.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/shard_cache.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "evergrove/train/testing_run.h"

namespace evergrove::runtime {
namespace {

namespace fs = std::filesystem;
using model::ObjectiveKind;
using train::Dataset;
using train::RunHeader;
using train::Shard;
using train::TestingRun;
using train::TestingShape;
using train::TrainingData;

// All of a shard's rows as they are in memory, for comparing.
void add_set(const Dataset& set, bool has_columns, ByteWriter& out) {
  out.string(set.name).u64(set.row_count());
  for (const train::RowSegment& segment : set.segments) {
    out.u64(segment.first_row).u64(segment.row_count);
  }
  for (size_t row = 0; row < set.row_count(); ++row) {
    for (size_t feature = 0; feature < set.bins.feature_count(); ++feature) {
      out.u32(set.bins.bin(row, feature));
      if (!has_columns) continue;
      out.u32(set.bins.bin_bytes() == 1 ? set.bins.column<uint8_t>(feature)[row]
                                        : set.bins.column<uint16_t>(feature)[row]);
    }
  }
  for (uint16_t label : set.classes) out.u32(label);
  for (double target : set.targets) out.f64(target);
  for (float weight : set.weights) out.f64(double{weight});
}

std::string bytes_of(const TrainingData& data) {
  ByteWriter out;
  add_set(data.train, true, out);
  for (const Dataset& set : data.valid) add_set(set, false, out);
  return out.take();
}

class ShardCacheTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "shard-cache-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  ShardCache open(uint64_t bytes_max = 0) {
    Result<ShardCache> cache = ShardCache::open(
        {.folder = folder_, .bytes_max = bytes_max, .note = [this](const auto& text) {
           notes_ += text + "\n";
         }});
    EXPECT_TRUE(cache.ok()) << cache.status().message();
    return std::move(cache).value();
  }
  std::vector<fs::path> files() const {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(folder_ + "/evergrove-shards")) {
      files.push_back(entry.path());
    }
    return files;
  }

  std::string folder_;
  std::string notes_;
};

// A run whose shards are read and compared with what the source gives.
struct CachedRun {
  TestingRun run;
  RunHeader header;
  std::vector<Shard> shards;
  DataDescription data;

  explicit CachedRun(const TestingShape& shape = {.row_count = 400}, uint64_t shard_rows = 150)
      : run(shape),
        header(header_of(run)),
        shards(train::make_shards(run.spec, header.parameters.seed, shard_rows)) {}

  // As if the rows were in files.
  static RunHeader header_of(const TestingRun& run) {
    RunHeader header = run.description().header;
    header.manifest.files[0].fingerprint = "a";
    for (table::Manifest& manifest : header.valid_manifests) manifest.files[0].fingerprint = "b";
    return header;
  }

  void expect_right(ShardCache& cache, const Shard& shard) const {
    const Result<TrainingData> rows = cache.read(run.spec, data, header, shard);
    ASSERT_TRUE(rows.ok()) << rows.status().message();
    EXPECT_TRUE(bytes_of(*rows) == bytes_of(run.read(header, {&shard, 1}))) << shard.id;
  }
};

TEST_F(ShardCacheTest, GivesWhatTheSourceGivesOfEveryKindOfRun) {
  for (const auto objective :
       {ObjectiveKind::binary, ObjectiveKind::multiclass, ObjectiveKind::regression}) {
    for (const bool is_weighted : {false, true}) {
      for (const double fraction : {0.0, 0.3}) {
        const CachedRun run({.objective = objective,
                             .row_count = 400,
                             .weighted = is_weighted,
                             .valid_fraction = fraction});
        ShardCache first = open();
        for (const Shard& shard : run.shards) run.expect_right(first, shard);
        EXPECT_EQ(first.read_count(), run.shards.size());
        ShardCache second = open();
        for (const Shard& shard : run.shards) run.expect_right(second, shard);
        EXPECT_EQ(second.found_count(), run.shards.size());
        EXPECT_EQ(second.read_count(), 0u);
      }
    }
  }
  EXPECT_EQ(notes_, "");
}

TEST_F(ShardCacheTest, KeepsBinsOfTwoBytes) {
  CachedRun run({.row_count = 3000}, 1000);
  run.run.parameters.max_bins = 1000;
  run.header = CachedRun::header_of(run.run);
  ASSERT_EQ(bins::BinMatrix(size_t{0}, run.header.features).bin_bytes(), 2);
  for (int again = 0; again < 2; ++again) {
    ShardCache cache = open();
    for (const Shard& shard : run.shards) run.expect_right(cache, shard);
    EXPECT_EQ(cache.found_count(), again == 0 ? 0 : run.shards.size());
  }
}

TEST_F(ShardCacheTest, DoesNotAskTheSourceForWhatItHas) {
  const CachedRun run;
  ShardCache first = open();
  run.expect_right(first, run.shards[0]);
  const TestingRun other({.row_count = 400});  // the same rows, not read yet
  other.sources[0]->may_ask_manifest = false;
  ShardCache second = open();
  const auto rows = second.read(other.spec, run.data, run.header, run.shards[0]);
  ASSERT_TRUE(rows.ok());
  EXPECT_TRUE(other.sources[0]->blocks_read().empty());
}

TEST_F(ShardCacheTest, AnswersOnlyForTheVeryRowsAndBins) {
  const CachedRun run;
  const Shard shard = run.shards[0];
  const auto key = shard_key(run.data, run.header, shard);
  ASSERT_TRUE(key.has_value());
  const auto differs = [&](const char* what, const DataDescription& data, const RunHeader& header,
                           const Shard& of) {
    const auto other = shard_key(data, header, of);
    ASSERT_TRUE(other.has_value()) << what;
    EXPECT_NE(*other, *key) << what;
  };
  const auto differs_by = [&](const char* what, auto change) {
    RunHeader header = run.header;
    change(header);
    differs(what, run.data, header, shard);
  };
  differs_by("a cut", [](RunHeader& header) { header.features[0].cuts[0] -= 0.5; });
  differs_by("a feature less", [](RunHeader& header) { header.features.pop_back(); });
  differs_by("the label", [](RunHeader& header) { header.label = "z"; });
  differs_by("the weight", [](RunHeader& header) { header.weight = "v"; });
  differs_by("the classes", [](RunHeader& header) { header.classes.push_back("new"); });
  differs_by("the rows held out", [](RunHeader& header) { header.valid_fraction = 0.21; });
  differs_by("which rows are held out", [](RunHeader& header) { ++header.parameters.seed; });
  differs_by("the objective",
             [](RunHeader& header) { header.parameters.objective = ObjectiveKind::regression; });
  differs_by("the content", [](RunHeader& header) { header.manifest.files[0].fingerprint += "0"; });
  DataDescription typed = run.data;
  typed.column_types["a"] = "text";
  differs("how a column is read", typed, run.header, shard);
  differs("the shard", run.data, run.header, run.shards[1]);

  RunHeader other_run = run.header;
  other_run.parameters.learning_rate = 0.3;
  other_run.parameters.max_leaves = 9;
  other_run.base_margins = {7};
  EXPECT_EQ(shard_key(run.data, other_run, shard), key) << "the same bins for another run";
  RunHeader unreadable = run.header;
  unreadable.manifest.files[0].fingerprint = table::kUnreadable;
  EXPECT_FALSE(shard_key(run.data, unreadable, shard).has_value());
}

TEST_F(ShardCacheTest, AFileThatWasChangedInItsPlaceIsReadAnew) {
  const CachedRun run;
  RunHeader header = run.header;
  const std::string path = folder_ + "/rows.parquet";
  std::ofstream(path) << "first";
  header.manifest.files[0].path = path;
  const auto before = shard_key(run.data, header, run.shards[0]);
  EXPECT_EQ(shard_key(run.data, header, run.shards[0]), before);
  const timespec later[2] = {{2'000'000'000, 1}, {2'000'000'000, 1}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), later, 0), 0);
  EXPECT_NE(shard_key(run.data, header, run.shards[0]), before);
}

TEST_F(ShardCacheTest, MakesDamagedFilesAgain) {
  const CachedRun run({.row_count = 60, .block_rows = 60}, 60);
  const Shard& shard = run.shards[0];
  ShardCache cache = open();
  run.expect_right(cache, shard);
  ASSERT_EQ(files().size(), 1u);
  const std::string path = files()[0];
  const Result<std::string> whole = read_file(path);
  ASSERT_TRUE(whole.ok());
  const auto check = [&](const std::string& bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
    notes_.clear();
    const uint64_t found = cache.found_count();
    run.expect_right(cache, shard);
    EXPECT_EQ(cache.found_count(), found);
    EXPECT_NE(notes_.find("made again"), std::string::npos) << notes_;
    EXPECT_EQ(read_file(path).value(), *whole);
  };
  for (size_t i = 0; i < whole->size(); i += i < 80 ? 1 : 7) {
    std::string bytes = *whole;
    bytes[i] = static_cast<char>(bytes[i] ^ (i % 2 == 0 ? 0x01 : 0x80));
    check(bytes);
    check(whole->substr(0, i));
  }
  check(*whole + "x");
  check("");
}

TEST_F(ShardCacheTest, DoesNotTakeTheFileOfOtherRows) {
  const CachedRun run;
  ShardCache cache = open();
  run.expect_right(cache, run.shards[0]);
  const fs::path of_first = files()[0];
  run.expect_right(cache, run.shards[1]);
  for (const fs::path& path : files()) {
    if (path != of_first) fs::copy_file(of_first, path, fs::copy_options::overwrite_existing);
  }
  run.expect_right(cache, run.shards[1]);
  EXPECT_NE(notes_.find("its key"), std::string::npos) << notes_;
}

TEST_F(ShardCacheTest, RemovesWhatWasUsedLongestAgo) {
  const CachedRun run({.row_count = 400, .valid_fraction = 0, .has_valid_source = false}, 100);
  ASSERT_EQ(run.shards.size(), 4u);
  uint64_t bytes = 0;
  {
    ShardCache cache = open();
    run.expect_right(cache, run.shards[0]);
    bytes = fs::file_size(files()[0]);
  }
  ShardCache cache = open(2 * bytes);
  const auto use = [&](size_t shard) {
    ::usleep(20'000);  // the times of files are no finer than the kernel's tick
    run.expect_right(cache, run.shards[shard]);
  };
  use(1);
  use(0);  // again
  EXPECT_EQ(cache.found_count(), 1u);
  use(2);
  EXPECT_EQ(files().size(), 2u);
  use(0);
  EXPECT_EQ(cache.found_count(), 2u);
  use(1);
  EXPECT_EQ(cache.found_count(), 2u) << "it was the one to go";
  EXPECT_EQ(notes_, "");

  ShardCache tiny = open(bytes - 1);
  run.expect_right(tiny, run.shards[3]);
  EXPECT_NE(notes_.find("--cache-size"), std::string::npos) << notes_;
  EXPECT_EQ(files().size(), 2u) << "nothing goes for what has no room anyway";
}

TEST_F(ShardCacheTest, ManyMayShareAFolder) {
  const CachedRun run({.row_count = 600}, 60);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      // Two of them have so little room that they take the others' files away.
      Result<ShardCache> cache =
          ShardCache::open({.folder = folder_, .bytes_max = i < 2 ? 3000u : 0, .note = nullptr});
      ASSERT_TRUE(cache.ok());
      for (int round = 0; round < 5; ++round) {
        for (const Shard& shard : run.shards) run.expect_right(*cache, shard);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const fs::path& path : files()) {
    EXPECT_EQ(path.string().find("unfinished"), std::string::npos) << path;
  }
}

TEST_F(ShardCacheTest, IsForOneUserAlone) {
  open();
  const std::string folder = folder_ + "/evergrove-shards";
  struct stat about = {};
  ASSERT_EQ(::stat(folder.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0700u);
  ASSERT_EQ(::chmod(folder.c_str(), 0750), 0);
  const auto open_to_group = ShardCache::open({.folder = folder_, .bytes_max = 0, .note = nullptr});
  EXPECT_EQ(open_to_group.status().kind(), StatusKind::invalid_input);
  EXPECT_NE(open_to_group.status().message().find("chmod 700"), std::string::npos);

  fs::remove(folder);
  fs::create_directory(folder_ + "/elsewhere");
  fs::create_directory_symlink(folder_ + "/elsewhere", folder);
  EXPECT_FALSE(ShardCache::open({.folder = folder_, .bytes_max = 0, .note = nullptr}).ok());
  std::ofstream(folder_ + "/file") << "x";
  EXPECT_EQ(ShardCache::open({.folder = folder_ + "/file", .bytes_max = 0, .note = nullptr})
                .status()
                .kind(),
            StatusKind::invalid_input);
}

TEST_F(ShardCacheTest, RemovesWhatAKilledProcessLeft) {
  open();
  const std::string left = folder_ + "/evergrove-shards/abc.bins.unfinished-1";
  std::ofstream(left) << "half";
  open();
  EXPECT_FALSE(fs::exists(left));
}

TEST_F(ShardCacheTest, RefusesWhatTheSourceRefuses) {
  const CachedRun run;
  const TestingRun bad({.row_count = 400, .bad_weight_row = 3});
  ShardCache cache = open();
  EXPECT_FALSE(cache.read(bad.spec, run.data, run.header, run.shards[0]).ok());
  EXPECT_TRUE(files().empty());
}

}  // namespace
}  // namespace evergrove::runtime
