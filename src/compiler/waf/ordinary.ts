/**
 * Ordinary values of requests, in our own words: partial automata know the states that these lead to, so that the positions are
 * asked about what is rare. Words that begin like commands, functions or keywords matter more than what the texts say.
 */
export const ORDINARY: readonly string[] = [
  'When the garden was finally finished, we sat under the old lime tree and talked about everything that had happened during the winter. Nobody had expected the roof to hold, and yet it did; my brother always said that a house which has seen so many storms would see a few more. The children were asleep upstairs, the cat was watching the fire, and outside it had started to rain again.',
  'Hello Anna, thank you for your message. I have attached the invoice and the updated list of prices for the next order (see page 3). Could you please find out whether the parts can be delivered before the end of the month? If not, we would rather change the date than ask another supplier. Best regards, Peter',
  'Terms and conditions: the customer agrees that any claim arising out of, or in connection with, this agreement shall be made in writing within thirty days. Each party may end the contract at any time, provided that notice is given to the other party; nothing in this section limits the rights of third persons, whether or not they have received a copy. "Work" means the result of a project, including its source, its documentation and all files that belong to it, to the extent permitted by law.',
  'How to install: open the settings, select the group that you want to share, and type the name of the user. After you have set the time, save the file and start the program again. The service then reads the table, sorts it by date, removes what is less than one year old, and writes the rest to the disk; errors are sent to the person who is in charge. If you have to update an older version, make a backup first, check that it can be read, and delete nothing until the new one runs.',
  "It's not the first time we've tried this, and it won't be the last - but I don't think that anybody who's been there would've done it differently. What do you think? Let me know by 5:30, or call me on +44 20 7946 0123 / (0)30-123456; we can meet at the caf\u00e9 on the corner, no. 12, 2nd floor!",
  'Our new lamp combines a round shade of white linen with a foot made of solid oak. Height: 42 cm, weight: 1.9 kg, cable: 1.80 m with a switch. Also available in black, dark blue, green and sand. Was $89.00, now $59.90 (incl. VAT), free shipping & returns within 14 days. 4.5/5 stars: "looks great, easy to put together", "a bit smaller than expected", "would buy it again".',
  'In the third quarter, sales grew by 7% to 1,240,000; costs fell at the same time, since less had to be spent on energy, rent and travel. The board will propose a dividend of 0.35 per share. For the full year, the company expects an increase of between 4 and 6 percent, depending on exchange rates and on the price of copper.',
  'First name, last name, street, city, postal code, country, email address, phone number, date of birth, password, comment, message, subject, quantity, colour, size, order by, sort, filter, search, submit, cancel, continue, back to top, read more, show all, add to cart, sign in, log out, remember me, forgot your password?',
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36 Edg/120.0',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 17_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.2 Mobile/15E148 Safari/604.1',
  'text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7',
  'application/json, text/plain, */*',
  'gzip, deflate, br, zstd',
  'en-US,en;q=0.9,fr;q=0.8,de-DE;q=0.7,es;q=0.5',
  '"Chromium";v="120", "Not_A Brand";v="24", "Google Chrome";v="120"',
  'max-age=0, no-cache, must-revalidate',
  'https://www.example.org/shop/products/garden-chairs/list.html?page=2&sort=price_desc&view=grid&utm_source=newsletter&utm_campaign=spring_sale#top',
  '/api/v1/users/48213/orders/2024-03-17/items.json',
  '/assets/css/main.3f9a1c.css /static/js/vendor-8bd2.min.js /images/photos/IMG_2041-small.jpg /fonts/inter.woff2',
  '_ga=GA1.1.1203948571.1709283746; sid=s%3AqP7x0nTz-Vd3; lang=en; theme=dark; consent=analytics%3Dfalse',
  'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U',
  'c56a4180-65aa-42ec-a945-5fd21dec0538 7f3d9b0c2e 0x1f4 192.168.1.20 10.0.0.1:8080 2024-03-17T09:41:22.123Z 17/03/2024 1.5e3 -42 true false null undefined',
  '{"id":48213,"name":"Garden chair","tags":["oak","outdoor"],"price":{"amount":"89.90","currency":"EUR"},"inStock":true,"updatedAt":"2024-03-17T09:41:22Z","note":null}',
  'Dear Sir or Madam,\n\nplease find below my answers:\n - yes, the address is still the same;\n - no, I have not received anything yet.\n\nKind regards\nMaria Lopez\n',
  'SELECT your size from the list or ask for help. Please insert the card, enter the code and wait. Union members pay less. Drop by or leave a message; group rates on request, limit two per person. Where and when? Like us, join us, and order from the table of contents.',
];
