// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/find_files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "evergrove/source/file_format.h"
#include "evergrove/source/glob.h"
#include "evergrove/source/store.h"
#include "evergrove/source/temporary_files.h"

namespace evergrove::source {
namespace {

using Paths = std::vector<std::string>;

// The paths below the folder of the test that are found, or the message of the failure.
Paths found(const TemporaryFiles& files, const Paths& patterns) {
  Paths asked;
  for (const std::string& pattern : patterns) asked.push_back(files.folder() + "/" + pattern);
  const auto result = find_files(asked);
  if (!result.ok()) return {result.status().message()};
  Paths paths;
  for (const DataFile& file : *result) {
    EXPECT_TRUE(file.is_local());
    EXPECT_EQ(file.path, file.place);
    EXPECT_GT(file.size_bytes, 0);
    paths.push_back(file.path.substr(files.folder().size() + 1));
  }
  return paths;
}

Status failure(const Paths& paths) {
  const auto result = find_files(paths);
  EXPECT_FALSE(result.ok());
  return result.status();
}

TEST(FindFiles, TakesAFolderAtAllDepthsSortedByPath) {
  TemporaryFiles files;
  for (const char* name : {"d/b.csv", "d/a.csv", "d/sub/c.csv", "d/_SUCCESS", "d/.b.csv.crc",
                           "d/_temporary/x.csv", "d/a-1.csv"}) {
    files.bytes(name, "x");
  }
  files.bytes("d/marker", "");
  const Paths expected = {"d/a-1.csv", "d/a.csv", "d/b.csv", "d/sub/c.csv"};
  EXPECT_EQ(found(files, {"d"}), expected);
  EXPECT_EQ(found(files, {"d/"}), expected);
}

TEST(FindFiles, TakesGlobsSortedAndPathsInTheOrderGiven) {
  TemporaryFiles files;
  for (const char* name : {"p-2.csv", "p-10.csv", "p-1.csv", "q.csv", "_p-3.csv", "s/p-9.csv",
                           "s/t/p-8.csv", "p-5.csv.bak"}) {
    files.bytes(name, "x");
  }
  EXPECT_EQ(found(files, {"p-*.csv"}), (Paths{"p-1.csv", "p-10.csv", "p-2.csv"}));
  EXPECT_EQ(found(files, {"p-?.csv"}), (Paths{"p-1.csv", "p-2.csv"}));
  EXPECT_EQ(found(files, {"p-[12].csv"}), (Paths{"p-1.csv", "p-2.csv"}));
  EXPECT_EQ(found(files, {"*.csv"}), (Paths{"p-1.csv", "p-10.csv", "p-2.csv", "q.csv"}));
  EXPECT_EQ(found(files, {"_*.csv"}), (Paths{"_p-3.csv"}));
  EXPECT_EQ(found(files, {"*/p-*.csv"}), (Paths{"s/p-9.csv"}));
  EXPECT_EQ(found(files, {"**/p-[89].csv"}), (Paths{"s/p-9.csv", "s/t/p-8.csv"}));
  EXPECT_EQ(found(files, {"q.csv", "p-1*.csv", "q.csv"}),
            (Paths{"q.csv", "p-1.csv", "p-10.csv", "q.csv"}));
}

TEST(FindFiles, TakesAFileWhoseNameLooksLikeAPattern) {
  TemporaryFiles files;
  files.bytes("a[1].csv", "x");
  files.bytes("a1.csv", "x");
  EXPECT_EQ(found(files, {"a[1].csv"}), (Paths{"a[1].csv"}));
}

TEST(FindFiles, TakesPathsBelowTheWorkingFolderAsTheyAreGiven) {
  TemporaryFiles files;
  files.bytes("a.csv", "x");
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(files.folder());
  for (const char* path : {"a.csv", "*.csv", "./a.csv", "."}) {
    const std::string paths[] = {path};
    const auto result = find_files(paths);
    ASSERT_TRUE(result.ok()) << path << ": " << result.status().message();
    ASSERT_EQ(result->size(), 1);
    EXPECT_TRUE(result->front().path == "a.csv" || result->front().path == "./a.csv")
        << result->front().path;
  }
  std::filesystem::current_path(before);
}

TEST(FindFiles, SaysWhatIsMissing) {
  TemporaryFiles files;
  const std::string& folder = files.folder();
  std::filesystem::create_directories(folder + "/empty");
  for (const char* path : {"/none.csv", "/none*.csv", "/none/*.csv", "/empty", "/empty/*"}) {
    const Status status = failure({folder + path});
    EXPECT_EQ(status.kind(), StatusKind::not_found) << status.message();
    EXPECT_NE(status.message().find(folder + path), std::string::npos) << status.message();
  }
  EXPECT_EQ(failure({}).kind(), StatusKind::invalid_input);
  EXPECT_EQ(failure({""}).kind(), StatusKind::invalid_input);
}

TEST(FindFiles, RefusesAnEmptyDataFileWhereverItIs) {
  TemporaryFiles files;
  const std::string path = files.bytes("d/a.parquet", "");
  files.bytes("d/b.parquet", "x");
  for (const std::string& asked : {path, files.folder() + "/d", files.folder() + "/d/*"}) {
    const Status status = failure({asked});
    EXPECT_EQ(status.kind(), StatusKind::invalid_input) << status.message();
    EXPECT_NE(status.message().find("empty"), std::string::npos) << status.message();
    EXPECT_NE(status.message().find(path), std::string::npos) << status.message();
  }
}

TEST(FindFiles, RefusesWhatIsNotAFile) {
  TemporaryFiles files;
  const std::string path = files.path("pipe");
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  EXPECT_EQ(failure({path}).kind(), StatusKind::invalid_input);
  const Status status = failure({"http://host/a.csv"});
  EXPECT_EQ(status.kind(), StatusKind::unsupported);
  EXPECT_NE(status.message().find("s3://"), std::string::npos);
}

TEST(Store, KeepsCredentialsOutOfPaths) {
  EXPECT_EQ(without_credentials("s3://key:secret@bucket/a/b.csv?region=x&token=y"),
            "s3://bucket/a/b.csv");
  EXPECT_EQ(without_credentials("s3://key:se/cr+et@bucket/a.csv"), "s3://bucket/a.csv");
  EXPECT_EQ(without_credentials("abfs://box:password@account.dfs.core.windows.net/a"),
            "abfs://box@account.dfs.core.windows.net/a");
  EXPECT_EQ(without_credentials("gs://anonymous@bucket/a"), "gs://bucket/a");
  EXPECT_EQ(without_credentials("s3://bucket/a@b.csv"), "s3://bucket/a@b.csv");
  EXPECT_EQ(without_credentials("/local/a?b@c"), "/local/a?b@c");
}

TEST(Store, KeepsCredentialsOutOfMessages) {
  for (const char* url :
       {"s3://AKIAKEY:topsecret@/a", "s3://AKIAKEY:topsecret@bucket/a?nonsense=hidden",
        "abfs://box:topsecret@host/a?nonsense=hidden", "gs://bucket/a?nonsense=hidden",
        "s3://AKIAKEY:topsecret@bucket name/a"}) {
    Stores stores;
    const auto place = stores.place_of(url);
    ASSERT_FALSE(place.ok()) << url;
    for (const char* secret : {"AKIAKEY", "topsecret", "hidden"}) {
      EXPECT_EQ(place.status().message().find(secret), std::string::npos)
          << place.status().message();
    }
  }
}

TEST(Glob, LooksForWildcardsOfUrlsBeforeTheirParametersOnly) {
  EXPECT_FALSE(has_wildcard("s3://b/a.csv?x=*", true));
  EXPECT_TRUE(has_wildcard("s3://b/*.csv?x=y", true));
  EXPECT_TRUE(has_wildcard("a?.csv", false));
  EXPECT_EQ(split_glob("s3://b/c/*.csv", true).folder, "s3://b/c");
  EXPECT_EQ(split_glob("/*.csv", false).folder, "/");
  EXPECT_EQ(split_glob("a*/b.csv", false).folder, "");
}

TEST(FileFormat, TellsFilesByTheirFirstBytesThenByName) {
  using namespace std::string_literals;
  const auto format = [](const std::string& bytes, const std::string& name) {
    const auto result = detect_format(bytes, name);
    EXPECT_TRUE(result.ok()) << result.status().message();
    return result.ok() ? *result : FileFormat::csv;
  };
  EXPECT_EQ(format("PAR1...", "a.csv"), FileFormat::parquet);
  EXPECT_EQ(format("ARROW1\0\0"s, "a"), FileFormat::arrow_file);
  EXPECT_EQ(format("\xff\xff\xff\xff...", "a"), FileFormat::arrow_stream);
  EXPECT_EQ(format("\x1f\x8b...", "a.csv.gz"), FileFormat::csv_gzip);
  EXPECT_EQ(format("a,b\n", "a.dat"), FileFormat::csv);
}

TEST(FileFormat, SaysWhatToDoAboutOtherFiles) {
  using namespace std::string_literals;
  const auto refusal = [](const std::string& bytes, const std::string& name) {
    const Status status = detect_format(bytes, name).status();
    EXPECT_NE(status.message().find(name), std::string::npos) << status.message();
    return status;
  };
  EXPECT_EQ(refusal("hello", "a.parquet").kind(), StatusKind::corrupt);
  EXPECT_EQ(refusal("\x1f\x8b...", "a.parquet.gz").kind(), StatusKind::unsupported);
  for (const std::string& bytes :
       {"PARE"s, "FEA1"s, "ORC"s, "Obj\x01"s, "PK\x03\x04"s, "BZh9"s, "\x28\xb5\x2f\xfd"s,
        "\xfd"
        "7zXZ"s,
        "\x89HDF"s, "\xff\xfe"s, "{\"a\": 1}"s, "a\0b"s}) {
    EXPECT_EQ(refusal(bytes, "a.bin").kind(), StatusKind::unsupported) << bytes;
  }
}

}  // namespace
}  // namespace evergrove::source
