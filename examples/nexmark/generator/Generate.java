import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.beam.sdk.nexmark.NexmarkConfiguration;
import org.apache.beam.sdk.nexmark.model.Event;
import org.apache.beam.sdk.nexmark.sources.generator.Generator;
import org.apache.beam.sdk.nexmark.sources.generator.GeneratorConfig;

/**
 * Writes the events of Apache Beam's Nexmark generator as JSON lines, in the order in which it emits them. The generator seeds its random numbers with the
 * number of each event, so the same arguments make the same lines.
 *
 * <p>java -cp 'lib/*' Generate.java &lt;events&gt; &lt;out.jsonl&gt;
 */
public final class Generate {
  /** Where Beam's own Nexmark suite begins: 2015-07-15T00:00:00Z. */
  private static final long BASE_TIME_MS = 1_436_918_400_000L;

  private static final int EVENTS_PER_SECOND = 50;

  /** Events come shuffled in groups of so many: in groups of one second. */
  private static final int GROUP_SIZE = 50;

  public static void main(String[] args) throws IOException {
    long events = Long.parseLong(args[0]);
    NexmarkConfiguration configuration = new NexmarkConfiguration();
    configuration.numEventGenerators = 1;
    configuration.firstEventRate = EVENTS_PER_SECOND;
    configuration.nextEventRate = EVENTS_PER_SECOND;
    configuration.outOfOrderGroupSize = GROUP_SIZE;
    // So that people come back within ten minutes: by default it is one of a thousand who sells or bids.
    configuration.numActivePeople = 100;
    // No padding: an event that is as long as this or longer gets none.
    configuration.avgPersonByteSize = 0;
    configuration.avgAuctionByteSize = 0;
    configuration.avgBidByteSize = 0;

    ObjectMapper json = new ObjectMapper();
    Generator generator = new Generator(new GeneratorConfig(configuration, BASE_TIME_MS, 0, events, 0));
    try (BufferedWriter out = Files.newBufferedWriter(Path.of(args[1]), StandardCharsets.UTF_8)) {
      for (long number = 0; generator.hasNext(); number++) {
        Generator.NextEvent next = generator.nextEvent();
        ObjectNode line = json.createObjectNode();
        line.put("at", next.eventTimestamp);
        line.put("emittedAt", BASE_TIME_MS + number * 1000 / EVENTS_PER_SECOND);
        line.set("person", personOf(json, next.event));
        line.set("auction", auctionOf(json, next.event));
        line.set("bid", bidOf(json, next.event));
        out.write(json.writeValueAsString(line));
        out.write('\n');
      }
    }
  }

  private static ObjectNode personOf(ObjectMapper json, Event event) {
    if (event.newPerson == null) return null;
    return json.createObjectNode()
        .put("id", event.newPerson.id)
        .put("name", event.newPerson.name)
        .put("emailAddress", event.newPerson.emailAddress)
        .put("creditCard", event.newPerson.creditCard)
        .put("city", event.newPerson.city)
        .put("state", event.newPerson.state);
  }

  private static ObjectNode auctionOf(ObjectMapper json, Event event) {
    if (event.newAuction == null) return null;
    return json.createObjectNode()
        .put("id", event.newAuction.id)
        .put("itemName", event.newAuction.itemName)
        .put("description", event.newAuction.description)
        .put("initialBid", event.newAuction.initialBid)
        .put("reserve", event.newAuction.reserve)
        .put("expires", event.newAuction.expires.getMillis())
        .put("seller", event.newAuction.seller)
        .put("category", event.newAuction.category);
  }

  private static ObjectNode bidOf(ObjectMapper json, Event event) {
    if (event.bid == null) return null;
    return json.createObjectNode()
        .put("auction", event.bid.auction)
        .put("bidder", event.bid.bidder)
        .put("price", event.bid.price);
  }
}
